using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Quantization.RepqVit;
using RegCache.Lab.Quantization.Storage;

namespace RegCache.Lab.Quantization;

/// <summary>The quantizers that can be chosen by name. A new one is a new file with its family, and one line here.</summary>
public static class QuantizerFamilies
{
    /// <summary>All families.</summary>
    public static OpenList<QuantizerFamily> All { get; } = new(
        "baseline",
        NaiveFamily.Entry,
        Ptq4VitFamily.Entry,
        RepqVitFamily.Entry);
}

/// <summary>A family of quantizers: a method with its options, for any encoder and any bit-widths.</summary>
/// <param name="Name">The name by which it is asked for, in commands, notebooks and result files.</param>
/// <param name="Help">What it is, in one line.</param>
/// <param name="Options">What can be set about it. Families may share an option.</param>
/// <param name="Create">
/// Makes the calibrator of an encoder. Throws <see cref="UserException"/> for options that do not fit each other, and what
/// <see cref="CalibrationRequest.Images"/> throws.
/// </param>
public sealed record QuantizerFamily(
    string Name, string Help, IReadOnlyList<MethodOption> Options, Func<CalibrationRequest, ICalibrator> Create) : IListed
{
    /// <summary>How the family's own tensor quantizers are written to files; <see cref="UniformQuantizer"/> belongs to all.</summary>
    public IReadOnlyList<QuantizerFormat> Formats { get; init; } = [];

    /// <inheritdoc />
    public override string ToString() => Name;
}

/// <summary>What a calibrator is made for.</summary>
/// <param name="Tower">The float encoder.</param>
/// <param name="Classifier">Gives what turns features into class scores. Called only by families whose search has a loss.</param>
/// <param name="Bits">Bit-widths.</param>
/// <param name="BatchSize">Images in a batch of the run, for families whose ranges come from batches.</param>
/// <param name="Images">Gives the calibration images. Called only by families that need them; the caller disposes of them.</param>
public sealed record CalibrationRequest(
    VisionTower Tower, Func<ZeroShotClassifier> Classifier, QuantizationBits Bits, int BatchSize, Func<CalibrationImages> Images)
{
    /// <summary>The family's options that were given.</summary>
    public MethodValues Values { get; init; } = MethodValues.None;
}
