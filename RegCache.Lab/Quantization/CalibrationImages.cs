using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Quantization;

/// <summary>The images that ranges are calibrated on, in memory, and how the work is done.</summary>
public sealed class CalibrationImages : IDisposable
{
    /// <summary>Number of images that both published quantizers use.</summary>
    public const int DefaultCount = 32;

    private const long DefaultMemory = 1L << 30;

    private readonly Tensor _images;
    private readonly string _fingerprint;

    /// <summary>Takes ownership of normalised images.</summary>
    /// <param name="images">Normalised images [N,3,H,W], where the encoder runs.</param>
    /// <param name="fingerprint">Identifies the images.</param>
    public CalibrationImages(Tensor images, string fingerprint) =>
        (_images, _fingerprint) = (images.DetachFromDisposeScope(), fingerprint);

    /// <summary>Number of images.</summary>
    public int Count => (int)_images.shape[0];

    /// <summary>All images as one batch [N,3,H,W].</summary>
    public Tensor All => _images;

    /// <summary>Bytes that the candidates of one batch of a search may take.</summary>
    public long Memory { get; init; } = DefaultMemory;

    /// <summary>Told of the layers done.</summary>
    public IWorkProgress Progress { get; init; } = SilentProgress.Instance;

    /// <summary>Stops a calibration.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>Reads images from a set, evenly spaced so that all classes of an ordered set take part.</summary>
    /// <param name="source">The set, for example the folder that CALIB names.</param>
    /// <param name="count">How many images.</param>
    /// <param name="tower">The encoder that will run on them.</param>
    /// <exception cref="UserException">The set has fewer images, or none are asked for.</exception>
    public static Tensor Read(IImageSource source, int count, VisionTower tower)
    {
        if (count < 1 || count > source.Count)
        {
            throw new UserException(
                $"--calib-size {count}: the calibration set (CALIB) has {source.Count} images, so choose 1 to {source.Count}.");
        }

        using var images = source.Read([.. Enumerable.Range(0, count).Select(index => (int)((long)index * source.Count / count))]);
        var (device, type) = tower.Placement;
        return images.to(type, device, copy: true);
    }

    /// <summary>Views of the images in batches; the last one may be smaller.</summary>
    public IEnumerable<Tensor> Batches(int size)
    {
        for (var first = 0; first < Count; first += size)
        {
            yield return _images.narrow(0, first, Math.Min(size, Count - first));
        }
    }

    /// <inheritdoc />
    public override string ToString() => $"{Count} images {_fingerprint}";

    /// <inheritdoc />
    public void Dispose() => _images.Dispose();
}

/// <summary>
/// A calibration that does nothing twice: asked again for a plan with the same token stages and prefixes it returns the
/// same quantizer, so that plans made from it share their computation.
/// </summary>
/// <param name="calibration">Finds the ranges.</param>
public sealed class RememberedCalibrator(ICalibrator calibration) : ICalibrator
{
    private readonly Dictionary<EncoderPlan, IQuantizer> _found = [];

    /// <inheritdoc />
    public Recalibration Recalibration => calibration.Recalibration;

    /// <inheritdoc />
    public IQuantizer Calibrate(EncoderPlan plan)
    {
        var key = plan with { Embedding = null, Blocks = [.. plan.Blocks.Select(block => block with { Transform = null })] };
        if (!_found.TryGetValue(key, out var quantizer))
        {
            _found.Add(key, quantizer = calibration.Calibrate(plan));
        }

        return quantizer;
    }

    /// <inheritdoc />
    public override string ToString() => calibration.ToString() ?? string.Empty;
}

/// <summary>Refuses to take ranges from NaN or infinite values.</summary>
internal static class FiniteCheck
{
    /// <summary>Checks an activation by its range, which is NaN or infinite as soon as one value is.</summary>
    /// <param name="range">Scale, minimum or maximum of the values.</param>
    /// <param name="values">The activation; its first axis is the image.</param>
    /// <param name="name">The layer whose input it is.</param>
    /// <param name="firstImage">Index of the first image in the set.</param>
    /// <exception cref="UserException">The range is not finite; the message names the layer and the image.</exception>
    public static void Require(Tensor range, Tensor values, string name, int firstImage = 0)
    {
        using var scope = torch.NewDisposeScope();
        if (range.isfinite().all().item<bool>())
        {
            return;
        }

        var damaged = values.isfinite().logical_not().flatten(1).any(1).to(torch.ScalarType.Int32).argmax().item<long>();
        throw Refusal(name, firstImage + damaged);
    }

    /// <summary>What is said of an activation that is not finite.</summary>
    /// <param name="name">The layer whose input it is.</param>
    /// <param name="image">Index of the image.</param>
    public static UserException Refusal(string name, long image) => new(
        $"The input of {name} holds NaN or infinite values in image {image} of the batch, so it has no range; check that image and the weights before this layer.");
}
