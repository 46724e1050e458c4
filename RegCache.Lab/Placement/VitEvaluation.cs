using RegCache.Lab.Data;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Placement;

/// <summary>What a classifier achieves on a labelled set.</summary>
/// <param name="Top1">Share of images whose most likely class is right, percent.</param>
/// <param name="Top5">Share of images whose class is among the five most likely, or among all where there are fewer, percent.</param>
/// <param name="Loss">Mean cross entropy over the images, in nats.</param>
/// <param name="Images">Images.</param>
/// <param name="Classes">Classes of the classifier.</param>
public sealed record VitEvaluation(double Top1, double Top5, double Loss, int Images, int Classes)
{
    private const int Deepest = 5;

    /// <summary>Runs a classifier over a labelled set, without gradients. Every image counts once, whatever batch it is in.</summary>
    /// <param name="tower">The encoder, whose image features are the class scores.</param>
    /// <param name="images">The set.</param>
    /// <param name="run">Batch size, progress, and what stops it.</param>
    /// <exception cref="UserException">The set has no labels, or a label that the classifier has no class for.</exception>
    public static VitEvaluation Run(VisionTower tower, IImageSource images, EvaluationRun run)
    {
        var classes = tower.Features;
        if (images.Labels.Count != images.Count)
        {
            throw new UserException("The images have no class labels; choose a labelled set.");
        }

        if (images.Labels.Any(label => label >= classes))
        {
            throw new UserException($"The images have {images.Labels.Max() + 1} or more classes, but the classifier has {classes}; choose the set that it was trained for.");
        }

        using var noGradient = torch.no_grad();
        using var progress = run.Progress.Start(run.Title, images.Count, "images");
        var (first, deep, loss, count) = (0.0, 0.0, 0.0, 0);
        foreach (var batch in images.ReadShare(run.Processes, run.BatchSize, 0, run.Cancellation))
        {
            using var scope = torch.NewDisposeScope();
            using var owned = batch;

            // Batch by batch in the set's order, so that the sums are the same bits for any number of processes.
            foreach (var part in run.Processes.GatherNumbers(batch is null ? [0, 0, 0, 0] : Measure(batch)))
            {
                (first, deep, loss, count) = (first + part[0], deep + part[1], loss + part[2], count + (int)part[3]);
            }

            progress.Report(count);
        }

        return new(100.0 * first / count, 100.0 * deep / count, loss / count, count, classes);

        double[] Measure(ImageBatch batch)
        {
            var (device, type) = tower.Placement;
            long[] labels = [.. batch.Indices.Select(index => (long)images.Labels[index])];
            var target = torch.tensor(labels).to(device);
            var scores = tower.Encode(batch.Images.to(type, device)).to(torch.ScalarType.Float32);
            var batchLoss = torch.nn.functional.cross_entropy(scores, target, reduction: torch.nn.Reduction.Sum).item<float>();
            var hits = scores.topk(Math.Min(Deepest, classes), -1).indexes.eq(target.unsqueeze(1)).sum([0]).cpu().data<long>().ToArray();
            return [hits[0], hits.Sum(), batchLoss, labels.Length];
        }
    }
}
