using RegCache.Lab.Encoders;
using RegCache.Lab.Training.Losses;

namespace RegCache.Lab.Training.Clip;

/// <summary>Validation on image-text pairs (clip.md, section 14): loss, ranks and recall in both directions.</summary>
/// <param name="pairs">The pairs, without random crops.</param>
/// <param name="batchSize">Pairs in a batch.</param>
internal sealed class PairEvaluation(ClipBatchMaker pairs, int batchSize)
{
    private static readonly int[] _depths = [1, 5, 10];
    private readonly int _count = pairs.Count;

    /// <summary>Measures a model.</summary>

    public IReadOnlyDictionary<string, double> Run(ClipModel model)
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var (images, texts, loss) = (new List<Tensor>(), new List<Tensor>(), 0.0);
        var device = model.Vision.Placement.Device;
        foreach (var indices in Enumerable.Range(0, _count).Chunk(batchSize))
        {
            using var batch = pairs.Make(indices, default, "validation");
            using var inner = torch.NewDisposeScope();
            var image = Normalize(model.Vision.Encode(batch.Images.to(device)));
            var text = Normalize(model.Text!.Encode(batch.TextIds.to(device)));
            loss += ContrastiveLoss.Of(image, text, model.LogitScale!.exp()).ToDouble() * batch.Count;
            images.Add(image.MoveToOuterDisposeScope());
            texts.Add(text.MoveToOuterDisposeScope());
        }

        var metrics = new OrderedDictionary<string, double> { ["val/clip_val_loss"] = loss / _count };
        AddRanks(metrics, "image_to_text", torch.cat(images, 0), torch.cat(texts, 0));
        AddRanks(metrics, "text_to_image", torch.cat(texts, 0), torch.cat(images, 0));
        metrics["val/num_samples"] = _count;
        return metrics;
    }

    // The similarity matrix is made in chunks of rows; a rank is the number of strictly larger scores.
    private void AddRanks(OrderedDictionary<string, double> metrics, string direction, Tensor queries, Tensor targets)
    {
        const int chunk = 1024;
        var ranks = new List<long>(_count);
        for (var first = 0; first < _count; first += chunk)
        {
            using var scope = torch.NewDisposeScope();
            var rows = Math.Min(chunk, _count - first);
            var scores = queries.narrow(0, first, rows).matmul(targets.t());
            var own = scores.diagonal(first).narrow(0, 0, rows).unsqueeze(1);
            ranks.AddRange((scores > own).to(torch.ScalarType.Int64).sum(1).cpu().data<long>().ToArray());
        }

        ranks.Sort();
        var middle = _count % 2 == 1 ? ranks[_count / 2] : (ranks[(_count / 2) - 1] + ranks[_count / 2]) / 2.0;
        metrics[$"val/{direction}_mean_rank"] = ranks.Average() + 1;
        metrics[$"val/{direction}_median_rank"] = Math.Floor(middle) + 1;
        foreach (var depth in _depths)
        {
            metrics[$"val/{direction}_R@{depth}"] = ranks.Count(rank => rank < depth) / (double)_count;
        }
    }

    private static Tensor Normalize(Tensor features) => torch.nn.functional.normalize(features, p: 2, dim: -1, eps: 1e-12);
}
