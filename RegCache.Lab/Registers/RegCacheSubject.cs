using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;

namespace RegCache.Lab.Registers;

/// <summary>What a pipeline run works on.</summary>
/// <param name="Model">Model name for file names and tables, for example "ViT-B-16".</param>
/// <param name="Pretrained">Tag of the weights, for example "openai".</param>
/// <param name="ModelHash">Identifies the weights, configuration, precision and device, for stage keys.</param>
/// <param name="Tower">The float vision tower.</param>
/// <param name="Classifier">Turns features into class scores.</param>
/// <param name="SearchImages">The set of extraction and search.</param>
/// <param name="ValidationImages">The set of the final evaluation.</param>
/// <param name="Baseline">The quantizer's family.</param>
/// <param name="Calibration">Finds the ranges of the quantizer at given bit-widths.</param>
/// <param name="BatchSize">Images in a batch; dynamic ranges of scope `batch` depend on it.</param>
/// <param name="Scope">Over what activation ranges are taken, for tables.</param>
public sealed record RegCacheSubject(
    string Model,
    string Pretrained,
    string ModelHash,
    VisionTower Tower,
    ZeroShotClassifier Classifier,
    IImageSource SearchImages,
    IImageSource ValidationImages,
    Baseline Baseline,
    Func<QuantizationBits, ICalibrator> Calibration,
    int BatchSize,
    string Scope)
{
    /// <summary>How quantized layers run, for stage keys: results differ by rounding.</summary>
    public string Execution { get; init; } = "";

    /// <summary>The name under which prefixes of this model are kept.</summary>
    public string PrefixFolder => $"clip_global_prefix_{Model}_{Pretrained}";
}
