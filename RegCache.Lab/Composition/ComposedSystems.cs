using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Placement;
using RegCache.Lab.Pooling;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Composition;

/// <summary>How each system is set when it is switched on.</summary>
/// <param name="Experiment">The model that everything is compared with, and its images.</param>
public sealed record CompositionSettings(Experiment Experiment)
{
    private readonly Dictionary<(Experiment Model, int Block, RegCacheOptions Options), RegisterPrefix> _prefixes = [];
    private readonly Dictionary<Experiment, HeldBackClassToken> _held = [];

    /// <summary>RegCache's setting: the prefix, and which tokens are deleted where.</summary>
    public required RegCacheSetting Registers { get; init; }

    /// <summary>How the tokens of the prefix are found.</summary>
    public RegCacheOptions RegisterOptions { get; init; } = new();

    /// <summary>How tokens merge.</summary>
    public required MergingSetting Merging { get; init; }

    /// <summary>The class token enters before this block.</summary>
    public required int ClassBlock { get; init; }

    /// <summary>How patches are pooled, without training.</summary>
    public required PoolingSetting Pooling { get; init; }

    /// <summary>A student of the model whose MLPs are memory layers; null: there is none, and memory cannot be switched on.</summary>
    public Experiment? Student { get; init; }

    /// <summary>Bit-widths of the quantizer, which is that of the experiment.</summary>
    public QuantizationBits Bits { get; init; } = new(8, 8);

    /// <summary>Keys and values of the prefix, by the model that runs; found on its search images when first asked for.</summary>
    internal RegisterPrefix PrefixOf(Experiment model)
    {
        // Settings that were made of others share what they found.
        var block = Registers.ExtractionBlock;
        if (!_prefixes.TryGetValue((model, block, RegisterOptions), out var prefix))
        {
            var tokens = CandidateExtraction.Run(
                model.Tower, model.Search, [block], RegisterOptions.TopTokens, RegisterOptions.ScoreTensor, model.Pass("register candidates"));
            using var cache = PrefixAveraging.Run(model.Tower, model.Search, tokens, model.Pass("averaged prefix"))[block];
            _prefixes.Add((model, block, RegisterOptions), prefix = cache.ToPrefix(model.Tower.Placement.Device));
        }

        return prefix;
    }

    /// <summary>The class token that a model holds back.</summary>
    internal HeldBackClassToken HeldBackBy(Experiment model)
    {
        if (!_held.TryGetValue(model, out var token))
        {
            _held.Add(model, token = new(model.Tower));
        }

        return token;
    }
}

/// <summary>One thing that can be done to the token stream, as a study switches it on.</summary>
/// <param name="Name">The name.</param>
/// <param name="Help">What it is, in one line.</param>
/// <param name="Describe">How it is set.</param>
/// <param name="Apply">Adds it to a plan of the model that runs.</param>
public sealed record ComposedSystem(
    string Name, string Help, Func<CompositionSettings, string> Describe, Func<CompositionSettings, Experiment, EncoderPlan, EncoderPlan> Apply) : IListed
{
    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];

    /// <summary>Whether it is a model of its own, <see cref="CompositionSettings.Student"/>.</summary>
    public bool IsStudent { get; init; }

    /// <inheritdoc />
    public override string ToString() => Name;
}

/// <summary>Everything that the kit can do to the token stream of one model at once.</summary>
public static class ComposedSystems
{
    /// <summary>RegCache's cached registers.</summary>
    public static ComposedSystem Registers { get; } = new(
        "registers",
        "Cached register tokens join the attention (RegCache).",
        settings => $"{Some(settings.Registers.PrefixCount, "prefix token")} from block {settings.Registers.ExtractionBlock}",
        (settings, model, plan) => settings.Registers.PrefixCount == 0
            ? plan
            : (settings.Registers with { DeleteCount = 0 }).ApplyTo(plan, settings.PrefixOf(model)));

    /// <summary>RegCache's deletion of outliers.</summary>
    public static ComposedSystem Deletion { get; } = new(
        "deletion",
        "Outlier tokens are deleted before the sensitive block (RegCache).",
        settings => $"{Some(settings.Registers.DeleteCount, "token")} before block {settings.Registers.DeleteBlock}",
        (settings, _, plan) => (settings.Registers with { PrefixCount = 0 }).ApplyTo(plan, null));

    /// <summary>Token merging.</summary>
    public static ComposedSystem Merging { get; } = new(
        "merging", "Similar tokens merge.", settings => $"{settings.Merging}", (settings, _, plan) => settings.Merging.ApplyTo(plan));

    /// <summary>A class token that enters late.</summary>
    public static ComposedSystem Late { get; } = new(
        "late",
        "The class token is held back and enters before a later block (late tokens).",
        settings => $"class token from block {settings.ClassBlock}",
        (settings, model, plan) => settings.HeldBackBy(model).ApplyTo(plan, settings.ClassBlock));

    /// <summary>Pooling of runs of patches.</summary>
    public static ComposedSystem Pooling { get; } = new(
        "pooling",
        "Runs of patches become one token (dynamic pooling, without training).",
        settings => $"{settings.Pooling}",
        (settings, _, plan) => settings.Pooling.ApplyTo(plan));

    /// <summary>Memory layers.</summary>
    public static ComposedSystem Memory { get; } = new(
        "memory",
        "A student whose MLPs are memory layers takes the model's place.",
        settings => $"memory in blocks {string.Join(", ", settings.Student!.Model.Config.Vision.Memory!.Blocks)}",
        (_, _, plan) => plan)
    {
        IsStudent = true,
    };

    /// <summary>The quantizer, calibrated on the stream that everything else leaves.</summary>
    public static ComposedSystem Quantizer { get; } = new(
        "quantizer",
        "Weights and activations are quantized.",
        settings => $"{settings.Experiment.Options.Quantizer.Name} {settings.Bits}",
        (settings, model, plan) => model.Calibrator(settings.Bits).Calibrate(plan).ApplyTo(plan));

    /// <summary>All of them, in the order in which they are switched on; the quantizer is the last.</summary>
    public static OpenList<ComposedSystem> All { get; } = new("system", Registers, Deletion, Merging, Late, Pooling, Memory, Quantizer);

    private static string Some(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";
}
