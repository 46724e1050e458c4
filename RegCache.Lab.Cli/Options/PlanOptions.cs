using System.CommandLine;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Pooling;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Options;

/// <summary>What is done to the image encoder, by options: a RegCache setting, pooling, merging, and the quantizer that the command has.</summary>
internal sealed class PlanOptions
{
    /// <summary>The name of the encoder as trained.</summary>
    public const string Float = "float";

    private readonly PrefixSettingOptions _setting = new();
    private readonly PlanPoolingOptions _pooling = new();
    private readonly MergingOptions _merging = new();

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        _setting.AddTo(command);
        _pooling.AddTo(command);
        _merging.AddTo(command);
    }

    /// <summary>The plan that they ask for.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="tower">The image encoder.</param>
    /// <param name="quantizer">The quantizer and its bit-widths; null: float.</param>
    /// <param name="seed">Seed of random merging.</param>
    /// <exception cref="UserException">An option does not fit the model, or another option; or the model has no blocks for plans and runs as trained.</exception>
    public PlanRequest Read(ParseResult arguments, IImageTower tower, (QuantizerFamily Family, QuantizationBits Bits)? quantizer, long seed)
    {
        if (tower is not VisionTower transformer)
        {
            return quantizer is null && !_setting.IsGiven(arguments) && _pooling.Read(arguments, 0) is null && _merging.Read(arguments, seed) is null
                ? new(tower.PlannedBlocks, Float, new(0, 0, 0, 0), null, null, null)
                : throw tower.NoPlans;
        }

        using var cache = _setting.LoadPrefix(arguments);
        var setting = _setting.Read(arguments, cache, transformer);
        var name = quantizer is var (family, bits) ? $"{family}-{bits}".ToLowerInvariant() : Float;
        return new(transformer.Blocks.Count, name, setting, cache?.ToPrefix(tower.Placement.Device), _pooling.Read(arguments, transformer.Blocks.Count), _merging.Read(arguments, seed));
    }
}

/// <summary>A plan that was asked for, not calibrated yet.</summary>
/// <param name="Layers">Blocks of the encoder.</param>
/// <param name="Quantizer">The quantizer with its bit-widths, or <see cref="PlanOptions.Float"/>.</param>
/// <param name="Setting">The RegCache setting; counts of zero: none.</param>
/// <param name="Prefix">The prefix; null without one.</param>
/// <param name="Pooling">How patches are pooled; null: they are not.</param>
/// <param name="Merging">How tokens merge; null: they do not.</param>
internal sealed record PlanRequest(
    int Layers, string Quantizer, RegCacheSetting Setting, RegisterPrefix? Prefix, PoolingSetting? Pooling, MergingSetting? Merging)
{
    /// <summary>Whether nothing is quantized.</summary>
    public bool IsFloat => Quantizer == PlanOptions.Float;

    /// <summary>Everything that was asked for, in one plan.</summary>
    /// <param name="calibrate">Finds the quantizer of a plan; not called in float.</param>
    public NamedPlan Whole(Func<EncoderPlan, IQuantizer> calibrate) => Make(Quantizer, Setting, Pooling, Merging, calibrate);

    /// <summary>
    /// The encoder in float, then everything that was asked for step by step: quantized; with the prefix, with deletion, with both;
    /// all of these with pooling; and all of these with merging. What was not asked for is not there.
    /// </summary>
    /// <param name="calibrate">Finds the quantizer of a plan.</param>
    public IReadOnlyList<NamedPlan> Steps(Func<EncoderPlan, IQuantizer> calibrate)
    {
        var none = Setting with { PrefixCount = 0, DeleteCount = 0 };
        RegCacheSetting[] settings = [.. new[] { none, Setting with { DeleteCount = 0 }, Setting with { PrefixCount = 0 }, Setting }.Distinct()];
        MergingSetting?[] mergings = Merging is null ? [null] : [null, Merging];
        PoolingSetting?[] poolings = Pooling is null ? [null] : [null, Pooling];
        return
        [
            .. mergings.SelectMany(merging => poolings.SelectMany(pooling => (IEnumerable<NamedPlan>)
            [
                .. IsFloat ? (IEnumerable<NamedPlan>)[] : [Make(PlanOptions.Float, none, pooling, merging, calibrate)],
                .. settings.Select(setting => Make(Quantizer, setting, pooling, merging, calibrate)),
            ])),
        ];
    }

    /// <inheritdoc />
    public override string ToString() => string.Join("; ", new[]
    {
        Quantizer,
        Setting is { PrefixCount: 0, DeleteCount: 0 } ? null : Setting.InWords(),
        Prefix is null ? null : $"prefix {Prefix}",
        Pooling?.ToString(),
        Merging?.ToString(),
    }.OfType<string>());

    // Ranges are those of the stream that pooling, merging and RegCache leave.
    private NamedPlan Make(
        string quantizer, RegCacheSetting setting, PoolingSetting? pooling, MergingSetting? merging, Func<EncoderPlan, IQuantizer> calibrate)
    {
        var plan = setting.ApplyTo(EncoderPlan.Plain(Layers), Prefix);
        plan = pooling?.ApplyTo(plan) ?? plan;
        plan = merging?.ApplyTo(plan) ?? plan;
        return new(quantizer, setting, pooling, merging, quantizer == PlanOptions.Float ? plan : calibrate(plan).ApplyTo(plan));
    }
}

/// <summary>A plan and what it is made of.</summary>
/// <param name="Quantizer">The quantizer with its bit-widths, or <see cref="PlanOptions.Float"/>.</param>
/// <param name="Setting">The RegCache setting.</param>
/// <param name="Pooling">How patches are pooled; null: they are not.</param>
/// <param name="Merging">How tokens merge; null: they do not.</param>
/// <param name="Plan">The plan.</param>
internal sealed record NamedPlan(string Quantizer, RegCacheSetting Setting, PoolingSetting? Pooling, MergingSetting? Merging, EncoderPlan Plan)
{
    /// <summary>The name, for tables and files: <c>float</c>, <c>naive-w8a8+prefix+delete</c>.</summary>
    public string Name => string.Join('+', new[]
    {
        Quantizer,
        Setting.PrefixCount > 0 ? "prefix" : null,
        Setting.DeleteCount > 0 ? "delete" : null,
        Pooling is null ? null : "pool",
        Merging?.Method.Name,
    }.OfType<string>());
}
