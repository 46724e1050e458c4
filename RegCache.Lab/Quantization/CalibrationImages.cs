using RegCache.Lab.Data;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Quantization;

/// <summary>The images that ranges are calibrated on, in memory, and how the work on them is done.</summary>
public sealed class CalibrationImages : IDisposable
{
    /// <summary>Number of images that both published quantizers use.</summary>
    public const int DefaultCount = 32;

    private const int DefaultMebibytes = 1024;

    private readonly Tensor _images;
    private readonly string _fingerprint;

    /// <summary>Takes ownership of normalised images.</summary>
    /// <param name="images">Normalised images [N,3,H,W], where the encoder runs.</param>
    /// <param name="fingerprint">Identifies the images.</param>
    public CalibrationImages(Tensor images, string fingerprint) =>
        (_images, _fingerprint) = (images.DetachFromDisposeScope(), fingerprint);

    /// <summary>The option for the number of images, of all families that calibrate.</summary>
    public static MethodOption<int> CountOption { get; } =
        MethodOption.Number("--calib-size", "Calibration images.", DefaultCount, 1, 1_000_000);

    /// <summary>The option for <see cref="Memory"/>, in bytes, of families that search.</summary>
    public static MethodOption<long> MemoryOption { get; } = new(
        "--calib-memory",
        "Mebibytes that a search's candidates may take at once.",
        "N",
        $"{DefaultMebibytes}",
        (long)DefaultMebibytes << 20,
        text => (long)MethodOption.ParseNumber("--calib-memory", text, 1, 1 << 20) << 20);

    /// <summary>Number of images.</summary>
    public int Count => (int)_images.shape[0];

    /// <summary>All images as one batch [N,3,H,W].</summary>
    public Tensor All => _images;

    /// <summary>Bytes that the candidates of one batch of a search may take.</summary>
    public long Memory { get; init; } = (long)DefaultMebibytes << 20;

    /// <summary>Told of the layers done.</summary>
    public IWorkProgress Progress { get; init; } = SilentProgress.Instance;

    /// <summary>Stops a calibration.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>The processes that share a calibration: all of them have the same images and calibrate the same plans in the same order.</summary>
    public IProcessGroup Processes { get; init; } = SingleProcess.Instance;

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
