using System.CommandLine;
using System.Globalization;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;

namespace RegCache.Lab.Cli.Options;

/// <summary>The options of PTQ4ViT's search: a preset, and what departs from it.</summary>
internal sealed class Ptq4VitSearchOptions
{
    private readonly Option<bool> _base = OptionOf.Choice(
        "--search-preset",
        "What the other options of PTQ4ViT's search start from: PTQ4ViT itself, or BasePTQ, its plain relative.",
        false,
        ("ptq4vit", false),
        ("baseptq", true));

    private readonly Option<OutputMetric?> _metric = Optional<OutputMetric>(
        "--metric",
        "How PTQ4ViT compares a candidate's output with the float one. [default: the preset's, hessian or cosine]",
        ("hessian", OutputMetric.Hessian),
        ("cosine", OutputMetric.Cosine));

    private readonly Option<HessianLoss> _loss = OptionOf.Choice(
        "--hessian-loss",
        "Loss whose gradient weights PTQ4ViT's errors: the model's own predictions, or the released code's divergence, which is rounding noise.",
        HessianLoss.PseudoLabel,
        ("pseudo-label", HessianLoss.PseudoLabel),
        ("kl", HessianLoss.Kl));

    private readonly Option<double> _temperature = new("--hessian-temperature")
    {
        Description = "PTQ4ViT divides the logits by this before the loss.",
        HelpName = "T",
        DefaultValueFactory = _ => 5,
    };

    private readonly Option<int> _backwardBatch = OptionOf.Number(
        "--backward-batch", "Images of a backward pass of PTQ4ViT; the loss is their mean.", 4, 1, 65536);

    private readonly Option<Twin?> _softmaxTwin = Optional<Twin>(
        "--softmax-twin",
        "PTQ4ViT's two ranges of the softmax: added, as released; one of them, as in the paper; or off, one range. [default: the preset's, released or off]",
        ("released", Twin.Released),
        ("paper", Twin.Paper),
        ("off", Twin.Off));

    private readonly Option<bool?> _geluTwin = Optional<bool>(
        "--gelu-twin",
        "PTQ4ViT's separate ranges of positive and negative GELU outputs. [default: the preset's, on or off]",
        ("on", true),
        ("off", false));

    private readonly Option<int?> _rounds = OptionOf.OptionalNumber(
        "--search-rounds", "PTQ4ViT's rounds of weights and activations in turn. [default: the preset's, 3 or 1]", 1, 100);

    private readonly Option<int> _candidates = OptionOf.Number("--search-candidates", "Scales that PTQ4ViT tries.", 100, 1, 10_000);

    private readonly Option<(double Lowest, double Highest)?> _range = new("--search-range")
    {
        Description = "Smallest and largest factor of PTQ4ViT's scales, separated by a comma. [default: the preset's, 0.01,1.2 or 0.5,1.2]",
        HelpName = "LOW,HIGH",
        CustomParser = result => OptionOf.Parse<(double, double)?>(result, ParseRange),
    };

    // An option's null already means the preset's.
    private enum Twin
    {
        Released,
        Paper,
        Off,
    }

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in new Option[]
        {
            _base, _metric, _loss, _temperature, _backwardBatch, _softmaxTwin, _geluTwin, _rounds, _candidates, _range,
        })
        {
            command.Add(option);
        }
    }

    /// <summary>The search at given bit-widths.</summary>
    public Ptq4VitOptions Read(ParseResult arguments, QuantizationBits bits)
    {
        var preset = arguments.GetValue(_base) ? Ptq4VitOptions.BasePtq(bits) : new(bits);
        var metric = arguments.GetValue(_metric) ?? preset.Metric;
        var (lowest, highest) = arguments.GetValue(_range) ?? (preset.Range.Lowest, preset.Range.Highest);
        return preset with
        {
            Metric = metric,
            // The cosine compares all channels at once, so it cannot choose a scale for each.
            PatchesPerChannel = preset.PatchesPerChannel && metric == OutputMetric.Hessian,
            Loss = arguments.GetValue(_loss),
            Temperature = arguments.GetValue(_temperature),
            BackwardBatch = arguments.GetValue(_backwardBatch),
            SoftmaxTwin = arguments.GetValue(_softmaxTwin) switch
            {
                Twin.Released => SoftmaxTwin.Released,
                Twin.Paper => SoftmaxTwin.Paper,
                Twin.Off => null,
                _ => preset.SoftmaxTwin,
            },
            PostGeluTwin = arguments.GetValue(_geluTwin) ?? preset.PostGeluTwin,
            Rounds = arguments.GetValue(_rounds) ?? preset.Rounds,
            Range = new(lowest, highest, arguments.GetValue(_candidates)),
        };
    }

    private static Option<T?> Optional<T>(string name, string description, params (string Name, T Value)[] choices)
        where T : struct =>
        OptionOf.Choice<T?>(name, description, null, [.. choices.Select(choice => (choice.Name, (T?)choice.Value))]);

    private static (double Lowest, double Highest)? ParseRange(string text)
    {
        static bool Number(string part, out double value) => double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out value);
        return text.Split(',') is [var low, var high] && Number(low, out var lowest) && Number(high, out var highest)
            && lowest > 0 && highest >= lowest && double.IsFinite(highest)
            ? (lowest, highest)
            : throw new UserException($"--search-range must be two positive factors, the smaller one first, such as 0.01,1.2, not '{text}'");
    }
}
