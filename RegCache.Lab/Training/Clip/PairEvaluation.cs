using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
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

    private static void AddRanks(OrderedDictionary<string, double> metrics, string direction, Tensor queries, Tensor targets)
    {
        var ranks = new MatchRanks(queries, targets);
        metrics[$"val/{direction}_mean_rank"] = ranks.Mean;
        metrics[$"val/{direction}_median_rank"] = ranks.Median;
        foreach (var depth in _depths)
        {
            metrics[$"val/{direction}_R@{depth}"] = ranks.RecallAt(depth);
        }
    }

    private static Tensor Normalize(Tensor features) => torch.nn.functional.normalize(features, p: 2, dim: -1, eps: 1e-12);
}
