using System.Globalization;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>
/// The choices of a PTQ4ViT calibration that change its result. The defaults are those of the released code, but for the loss
/// (docs/methods/quantizers.md, "Hessian-guided search").
/// </summary>
/// <param name="Bits">Bit-widths of weights and of every activation.</param>
public sealed record Ptq4VitOptions(QuantizationBits Bits)
{
    /// <summary>How candidate outputs are compared with the float output.</summary>
    public OutputMetric Metric { get; init; } = OutputMetric.Hessian;

    /// <summary>The candidate scales.</summary>
    public SearchRange Range { get; init; } = new(0.01, 1.2, 100);

    /// <summary>How often weights and activations are searched in turn.</summary>
    public int Rounds { get; init; } = 3;

    /// <summary>Whether the input of `mlp.c_proj` has separate ranges for positive and negative values.</summary>
    public bool PostGeluTwin { get; init; } = true;

    /// <summary>The form of the two ranges of the softmax output; null quantizes it uniformly, one scale a head.</summary>
    public SoftmaxTwin? SoftmaxTwin { get; init; } = Ptq4Vit.SoftmaxTwin.Released;

    /// <summary>Whether each output channel of the patch embedding has its own scale.</summary>
    public bool PatchesPerChannel { get; init; } = true;

    /// <summary>The loss whose gradient the Hessian metric uses.</summary>
    public HessianLoss Loss { get; init; } = HessianLoss.PseudoLabel;

    /// <summary>
    /// The logits are divided by this before the loss: CLIP's scale of 100 saturates, and saturated predictions have no
    /// gradient.
    /// </summary>
    public double Temperature { get; init; } = 5;

    /// <summary>Images in a backward pass; the loss is their mean.</summary>
    public int BackwardBatch { get; init; } = 4;

    /// <summary>BasePTQ: the same search with the cosine metric, one round, and none of the twin ranges.</summary>
    public static Ptq4VitOptions BasePtq(QuantizationBits bits) => new(bits)
    {
        Metric = OutputMetric.Cosine,
        Range = new(0.5, 1.2, 100),
        Rounds = 1,
        PostGeluTwin = false,
        SoftmaxTwin = null,
        PatchesPerChannel = false,
    };

    /// <summary>Refuses settings that cannot be run.</summary>
    /// <exception cref="UserException">A number is out of range; the message names its option.</exception>
    public void Validate()
    {
        Require(Rounds >= 1, $"--search-rounds {Rounds}: search at least once.");
        Require(Range.Count >= 1, $"--search-candidates {Range.Count}: try at least one scale.");
        Require(
            Range.Lowest > 0 && Range.Highest >= Range.Lowest && double.IsFinite(Range.Highest),
            $"--search-range {Range.Lowest},{Range.Highest}: give two positive factors, the smaller one first.");
        Require(Temperature > 0 && double.IsFinite(Temperature), $"--hessian-temperature {Temperature}: give a positive number.");
        Require(BackwardBatch >= 1, $"--backward-batch {BackwardBatch}: give at least one image.");
        Require(
            !PatchesPerChannel || Metric == OutputMetric.Hessian,
            "One scale for each channel of the patch embedding needs the Hessian metric: the cosine compares all channels at once.");
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new UserException(message);
        }
    }
}

/// <summary>PTQ4ViT among the <see cref="QuantizerFamilies"/>, with its options: a preset, and what departs from it.</summary>
public static class Ptq4VitFamily
{
    /// <summary>Its name.</summary>
    public const string Name = "ptq4vit";

    /// <summary>What the other options start from.</summary>
    public static MethodOption<Func<QuantizationBits, Ptq4VitOptions>> Preset { get; } = MethodOption.Choice<Func<QuantizationBits, Ptq4VitOptions>>(
        "--search-preset",
        "What the other options of the search start from: PTQ4ViT itself, or BasePTQ, its plain relative.",
        "ptq4vit",
        ("ptq4vit", bits => new(bits)),
        ("baseptq", Ptq4VitOptions.BasePtq));

    /// <summary>The option for <see cref="Ptq4VitOptions.Metric"/>.</summary>
    public static MethodOption<OutputMetric?> Metric { get; } = MethodOption.Choice<OutputMetric?>(
        "--metric",
        "How a candidate's output is compared with the float one.",
        "the preset's, hessian or cosine",
        null,
        ("hessian", OutputMetric.Hessian),
        ("cosine", OutputMetric.Cosine));

    /// <summary>The option for <see cref="Ptq4VitOptions.Loss"/>.</summary>
    public static MethodOption<HessianLoss> Loss { get; } = MethodOption.Choice(
        "--hessian-loss",
        "Loss whose gradient weights errors: the model's own predictions, or the released code's divergence, which is rounding noise.",
        "pseudo-label",
        ("pseudo-label", HessianLoss.PseudoLabel),
        ("kl", HessianLoss.Kl));

    /// <summary>The option for <see cref="Ptq4VitOptions.Temperature"/>.</summary>
    public static MethodOption<double> Temperature { get; } = new(
        "--hessian-temperature", "The logits are divided by this before the loss.", "T", "5", 5, ParseTemperature);

    /// <summary>The option for <see cref="Ptq4VitOptions.BackwardBatch"/>.</summary>
    public static MethodOption<int> BackwardBatch { get; } = MethodOption.Number(
        "--backward-batch", "Images of a backward pass; the loss is their mean.", 4, 1, 65536);

    /// <summary>The option for <see cref="Ptq4VitOptions.SoftmaxTwin"/>: what becomes of the preset's.</summary>
    public static MethodOption<Func<SoftmaxTwin?, SoftmaxTwin?>> SoftmaxTwins { get; } = MethodOption.Choice<Func<SoftmaxTwin?, SoftmaxTwin?>>(
        "--softmax-twin",
        "The two ranges of the softmax: added, as released; one of them, as in the paper; or off, one range.",
        "the preset's, released or off",
        preset => preset,
        ("released", _ => SoftmaxTwin.Released),
        ("paper", _ => SoftmaxTwin.Paper),
        ("off", _ => null));

    /// <summary>The option for <see cref="Ptq4VitOptions.PostGeluTwin"/>.</summary>
    public static MethodOption<bool?> PostGeluTwin { get; } = MethodOption.Choice<bool?>(
        "--gelu-twin",
        "Separate ranges of positive and negative GELU outputs.",
        "the preset's, on or off",
        null,
        ("on", true),
        ("off", false));

    /// <summary>The option for <see cref="Ptq4VitOptions.Rounds"/>.</summary>
    public static MethodOption<int?> Rounds { get; } = MethodOption.Number(
        "--search-rounds", "Rounds of weights and activations in turn.", "the preset's, 3 or 1", 1, 100);

    /// <summary>The option for the number of scales of <see cref="Ptq4VitOptions.Range"/>.</summary>
    public static MethodOption<int> Candidates { get; } = MethodOption.Number("--search-candidates", "Scales that are tried.", 100, 1, 10_000);

    /// <summary>The option for the ends of <see cref="Ptq4VitOptions.Range"/>.</summary>
    public static MethodOption<(double Lowest, double Highest)?> Range { get; } = new(
        "--search-range",
        "Smallest and largest factor of the scales, separated by a comma.",
        "LOW,HIGH",
        "the preset's, 0.01,1.2 or 0.5,1.2",
        null,
        text => ParseRange(text));

    /// <summary>The family.</summary>
    public static QuantizerFamily Entry { get; } = new(
        Name,
        "PTQ4ViT: twin uniform quantization, its scales found by a Hessian-guided search.",
        [
            CalibrationImages.CountOption, CalibrationImages.MemoryOption, Preset, Metric, Loss, Temperature, BackwardBatch, SoftmaxTwins, PostGeluTwin, Rounds, Candidates, Range,
        ],
        request => new Ptq4VitCalibrator(request.Tower, request.Classifier(), request.Images(), Read(request.Values, request.Bits)))
    {
        Formats = [PostGeluQuantizer.Format, .. SoftmaxTwinQuantizer.Formats],
    };

    /// <summary>The search that the options describe.</summary>
    /// <param name="values">The options that were given.</param>
    /// <param name="bits">Bit-widths.</param>
    public static Ptq4VitOptions Read(MethodValues values, QuantizationBits bits)
    {
        var preset = values.Get(Preset)(bits);
        var metric = values.Get(Metric) ?? preset.Metric;
        var (lowest, highest) = values.Get(Range) ?? (preset.Range.Lowest, preset.Range.Highest);
        return preset with
        {
            Metric = metric,
            // The cosine compares all channels at once, so it cannot choose a scale for each.
            PatchesPerChannel = preset.PatchesPerChannel && metric == OutputMetric.Hessian,
            Loss = values.Get(Loss),
            Temperature = values.Get(Temperature),
            BackwardBatch = values.Get(BackwardBatch),
            SoftmaxTwin = values.Get(SoftmaxTwins)(preset.SoftmaxTwin),
            PostGeluTwin = values.Get(PostGeluTwin) ?? preset.PostGeluTwin,
            Rounds = values.Get(Rounds) ?? preset.Rounds,
            Range = new(lowest, highest, values.Get(Candidates)),
        };
    }

    private static double ParseTemperature(string text) => TryParse(text, out var temperature) && temperature > 0
        ? temperature
        : throw new UserException($"--hessian-temperature must be a positive number, not '{text}'");

    private static (double Lowest, double Highest) ParseRange(string text) =>
        text.Split(',') is [var low, var high] && TryParse(low, out var lowest) && TryParse(high, out var highest) && lowest > 0 && highest >= lowest
            ? (lowest, highest)
            : throw new UserException($"--search-range must be two positive factors, the smaller one first, such as 0.01,1.2, not '{text}'");

    private static bool TryParse(string text, out double value) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value) && double.IsFinite(value);
}
