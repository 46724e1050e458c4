using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// Validation on image-text pairs: the loss, and rank and recall of each image's own text among all texts, and the other way round,
/// under OpenCLIP's names.
/// </summary>
/// <param name="pairs">The pairs, without random crops.</param>
/// <param name="batchSize">Pairs in a batch; the loss is the mean of the batches' losses, weighted by their size.</param>
internal sealed class PairEvaluation(ClipBatchMaker pairs, int batchSize)
{
    private const string Title = "validation";

    private static readonly int[] _depths = [1, 5, 10];

    /// <summary>Measures a model.</summary>
    /// <returns>Numbers under <c>val/</c>; recalls are shares from 0 to 1, ranks begin at 1.</returns>
    /// <exception cref="UserException">A pair cannot be read and is not left out, or none can.</exception>
    public IReadOnlyDictionary<string, double> Run(ClipModel model)
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var (images, texts, loss, count) = (new List<Tensor>(), new List<Tensor>(), 0.0, 0);
        UserException? firstProblem = null;
        var device = model.Vision.Placement.Device;
        foreach (var indices in Enumerable.Range(0, pairs.Count).Chunk(batchSize))
        {
            using var batch = pairs.Make(indices, default, Title);
            pairs.Note(batch);
            if (batch.Count == 0)
            {
                firstProblem ??= batch.LeftOut[0].Problem;
                continue;
            }

            var (image, text, batchLoss) = TensorScope.Run(() =>
            {
                var image = ZeroShotClassifier.Normalize(model.Vision.Encode(batch.Images.to(device)));
                var text = ZeroShotClassifier.Normalize(model.Text!.Encode(batch.TextIds.to(device)));
                return (image, text, ContrastiveLoss.Of(image, text, model.LogitScale!.exp()).ToDouble());
            });
            images.Add(image);
            texts.Add(text);
            loss += batchLoss * batch.Count;
            count += batch.Count;
        }

        if (count == 0)
        {
            throw ClipBatchMaker.NothingReadable(pairs.Count, Title, firstProblem!);
        }

        var metrics = new OrderedDictionary<string, double> { ["val/clip_val_loss"] = loss / count };
        var (allImages, allTexts) = (torch.cat(images, 0), torch.cat(texts, 0));
        var ranks = RetrievalRanks.Of(allImages, allTexts, [.. Enumerable.Range(0, count)]);
        AddRanks(metrics, "image_to_text", ranks.ImageToText);
        AddRanks(metrics, "text_to_image", ranks.TextToImage);
        metrics["val/num_samples"] = count;
        return metrics;
    }

    private static void AddRanks(OrderedDictionary<string, double> metrics, string direction, RankList ranks)
    {
        metrics[$"val/{direction}_mean_rank"] = ranks.Mean;
        metrics[$"val/{direction}_median_rank"] = ranks.Median;
        foreach (var depth in _depths)
        {
            metrics[$"val/{direction}_R@{depth}"] = ranks.RecallAt(depth);
        }
    }
}
