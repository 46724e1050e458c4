using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Placement;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training.Vit;

/// <summary>How well a classifier does on labelled images; all numbers are means over the images.</summary>
/// <param name="Loss">Cross entropy.</param>
/// <param name="Top1">Share whose most likely class is right, percent.</param>
/// <param name="Top5">Share whose class is among the five most likely ones, or among all where there are fewer, percent.</param>
public sealed record VitMetrics(double Loss, double Top1, double Top5);

/// <summary>Measures classifiers on labelled images, without gradients and random changes.</summary>
public sealed class VitEvaluation
{
    private readonly ImageSetSource _images;
    private readonly int _batchSize;

    /// <summary>Prepares the reading; no image is decoded yet.</summary>
    /// <param name="set">The labelled images; the caller disposes it afterwards.</param>
    /// <param name="side">Rows and columns of the model's input.</param>
    /// <param name="cropRatio">Part of the resized image that is looked at.</param>
    /// <param name="batchSize">Images at a time.</param>
    public VitEvaluation(ImageSet set, int side, double cropRatio, int batchSize) =>
        (_images, _batchSize) = (new(set, new(Preprocessing(side, cropRatio))), batchSize);

    /// <summary>Identifies the images and how they are read.</summary>
    public string Fingerprint => _images.Fingerprint;

    /// <summary>How images become input in evaluations; inputs of up to 32 pixels see the whole image.</summary>
    /// <param name="side">Rows and columns of the model's input.</param>
    /// <param name="cropRatio">Part of the resized image that is looked at, above 0 to 1.</param>
    public static PreprocessOptions Preprocessing(int side, double cropRatio) => new(side)
    {
        Mean = PreprocessOptions.ImageNetMean,
        StandardDeviation = PreprocessOptions.ImageNetStandardDeviation,
        CropRatio = side <= Augmentation.TrainingTransform.SmallSide ? 1 : cropRatio,
    };

    /// <summary>Measures a classifier.</summary>
    /// <param name="model">The classifier.</param>
    /// <param name="progress">Told of the images done.</param>
    /// <param name="cancellation">Stops before the next batch.</param>
    /// <exception cref="UserException">An image cannot be read.</exception>
    public VitMetrics Run(DynamicVit model, IWorkProgress? progress = null, CancellationToken cancellation = default)
    {
        using var noGradient = torch.no_grad();
        using var handle = (progress ?? SilentProgress.Instance).Start("evaluating", _images.Count, "images");
        var (loss, top1, top5, count) = (0.0, 0L, 0L, 0L);
        var device = model.Tower.Placement.Device;
        foreach (var batch in _images.ReadBatches(_batchSize, cancellation: cancellation))
        {
            using var scope = torch.NewDisposeScope();
            var labels = torch.tensor(batch.Indices.Select(index => (long)_images.Labels[index]).ToArray(), device: device);
            var logits = model.Forward(batch.Images.to(device)).Logits.to(torch.ScalarType.Float32);
            var images = logits.shape[0];
            loss += ClassificationLosses.LabelSmoothing(logits, labels).ToDouble() * images;
            var (_, likely) = logits.topk((int)Math.Min(5, logits.shape[1]), 1);
            var right = likely.eq(labels.unsqueeze(1));
            top1 += right.narrow(1, 0, 1).sum().ToInt64();
            top5 += right.sum().ToInt64();
            count += images;
            handle.Report(count);
        }

        return new(loss / count, 100.0 * top1 / count, 100.0 * top5 / count);
    }
}
