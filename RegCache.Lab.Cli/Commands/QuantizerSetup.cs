using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Quantization.RepqVit;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Commands;

/// <summary>The quantizer of a run: its family, and the images that it is calibrated on.</summary>
internal sealed class QuantizerSetup : IDisposable
{
    private readonly CalibrationImages? _images;
    private readonly Func<QuantizationBits, ICalibrator> _make;
    private readonly Dictionary<QuantizationBits, ICalibrator> _made = [];

    private QuantizerSetup(CalibrationImages? images, Func<QuantizationBits, ICalibrator> make) => (_images, _make) = (images, make);

    /// <summary>Prepares the quantizer; nothing is calibrated yet.</summary>
    /// <param name="context">The command.</param>
    /// <param name="options">What the command line says.</param>
    /// <param name="baseline">The family.</param>
    /// <param name="calibration">Opens the calibration set; called only when the quantizer needs one.</param>
    /// <param name="clip">The float model.</param>
    /// <param name="classifier">Its classifier.</param>
    /// <param name="directory">Where progress is told.</param>
    /// <exception cref="UserException">The calibration set is missing or too small, or an option is out of range.</exception>
    public static QuantizerSetup Create(
        CommandContext context,
        SessionOptions options,
        Baseline baseline,
        Func<IImageSource> calibration,
        LoadedClip clip,
        ZeroShotClassifier classifier,
        RunDirectory directory)
    {
        var (arguments, tower, run) = (context.Arguments, clip.Model.Vision, options.Run.Read(context.Arguments));
        var isStatic = options.Calibration.ReadStatic(arguments);
        if (baseline == Baseline.Naive && !isStatic)
        {
            return new(null, bits => options.Search.Naive(arguments, bits));
        }

        if (baseline != Baseline.Naive && isStatic)
        {
            throw new UserException($"--act-mode static belongs to the naive baseline: {BaselineNames.NameOf(baseline)} always calibrates its ranges.");
        }

        var source = calibration();
        var images = new CalibrationImages(
            CalibrationImages.Read(source, options.Calibration.ReadCount(arguments), tower), source.Fingerprint)
        {
            Memory = options.Calibration.ReadMemory(arguments),
            Progress = directory.Progress,
            Cancellation = context.Cancellation,
        };
        ICalibrator Method(QuantizationBits bits) => baseline switch
        {
            Baseline.Ptq4Vit => new Ptq4VitCalibrator(tower, classifier, images, options.Calibration.ReadPtq4Vit(arguments, bits)),
            Baseline.RepqVit => new RepqVitCalibrator(tower, images, bits),
            _ => new StaticRangeCalibrator(tower, images, options.Search.Naive(arguments, bits), run.Batch),
        };
        return new(images, Method);
    }

    /// <summary>The calibration at given bit-widths; the same object every time, so that it can use what it did before.</summary>
    public ICalibrator At(QuantizationBits bits) =>
        _made.TryGetValue(bits, out var made) ? made : _made[bits] = _make(bits);

    public void Dispose()
    {
        foreach (var calibration in _made.Values.OfType<IDisposable>())
        {
            calibration.Dispose();
        }

        _images?.Dispose();
    }
}
