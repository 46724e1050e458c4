using RegCache.Lab.Encoders;

namespace RegCache.Lab.Pooling.Towers;

/// <summary>A kind of image tower that pools patches: what its blocks are, what its tensors are called, and how it is built.</summary>
/// <param name="Name">The name.</param>
/// <param name="Help">What it is, in one line.</param>
public sealed record PooledTower(string Name, string Help) : IListed
{
    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];

    /// <summary>The rule by which it finds boundaries where the configuration names none.</summary>
    public required string Rule { get; init; }

    /// <summary>The temperature where the configuration names none.</summary>
    public double Temperature { get; init; } = 0.5;

    /// <summary>The stacks where the configuration names none.</summary>
    public required ValueList<int> Layers { get; init; }

    /// <summary>How often it can pool.</summary>
    public (int Fewest, int Most) Poolings { get; init; } = (1, 1);

    /// <summary>Stacks of blocks for a number of poolings.</summary>
    public Func<int, int> StacksFor { get; init; } = poolings => poolings + 1;

    /// <summary>Whether its blocks are the encoder's, in which plans act; otherwise it runs as it is.</summary>
    public bool HasSeams { get; init; } = true;

    /// <summary>Whether its attention is relative.</summary>
    public bool IsRelative => !HasSeams;

    /// <summary>Whether it is CLIP's own tower with pooling in between; otherwise it has tensors and a head of its own.</summary>
    public bool IsClip { get; init; }

    /// <summary>What the tower fixes about its shapes: class tokens, norms, pooling.</summary>
    public Func<VisionConfig, VisionConfig> Shape { get; init; } = vision => vision;

    /// <summary>Names and shapes of the tower's tensors, all of them under <c>visual.</c>, in the order of checkpoints; of CLIP's tower, what it has more.</summary>
    public required Func<VisionConfig, int, IEnumerable<(string Name, long[] Shape)>> Parameters { get; init; }

    /// <summary>Builds the tower.</summary>
    public required Func<ClipConfig, WeightTable, IBackend?, IImageTower> Build { get; init; }
}

/// <summary>The pooled image towers (docs/methods/pooled-towers.md, "Towers").</summary>
public static class PooledTowers
{
    /// <summary>All of them. A tower more is an entry more.</summary>
    public static OpenList<PooledTower> All { get; } = new(
        "pooled tower",
        new("drip", "DRIP: blocks with relative attention, no class token; without pooling, or with two, too.")
        {
            Rule = "drip", Layers = [4, 8], Poolings = (0, 2), HasSeams = false,
            Shape = vision => vision with { ClassTokens = 0, PoolType = VisionPooling.Average, NoLnPre = true },
            Parameters = DripTower.Parameters, Build = (config, weights, _) => new DripTower(config, weights),
        },
        new("vit", "CLIP's own tower with class token, pooling its patches between blocks.")
        {
            Rule = "ditto", Temperature = 1, Layers = [4, 8], Poolings = (1, 8), IsClip = true,
            Parameters = PooledVit.MoreOfClip, Build = (config, weights, backend) => new VisionTower(config, weights, backend),
        },
        new("dtp-vit", "The first released one: no class token; pooled tokens are read back by the patches before the last stack.")
        {
            Rule = "drip", Layers = [2, 8, 2], StacksFor = _ => 3,
            Shape = vision => vision with { ClassTokens = 0, PoolType = VisionPooling.Average, NoLnPre = true },
            Parameters = PooledVit.OfUnpooled, Build = PooledVit.BuildUnpooled,
        },
        new("drip-cls", "The second released one: a class token that is never pooled, and the mean over all that is left.")
        {
            Rule = "drip", Layers = [2, 10],
            Shape = vision => vision with { ClassTokens = 1, PoolType = VisionPooling.Average, NoLnPre = true },
            Parameters = PooledVit.OfClass, Build = PooledVit.BuildClass,
        });
}

/// <summary>The predictors of a tower's poolings, under the names of DRIP's checkpoints.</summary>
internal static class TowerPredictors
{
    /// <summary>What the names of a pooling's predictor begin with.</summary>
    /// <param name="tower">What the tower's names begin with, such as <c>visual.</c>.</param>
    /// <param name="pooling">The configuration.</param>
    /// <param name="index">Which pooling, 0-based.</param>
    public static string Name(string tower, TowerPooling pooling, int index) => tower + (pooling.Poolings == 1 ? "boundary_predictor" : $"bp{index + 1}");

    /// <summary>Whether a tensor belongs to a predictor of the image tower, by its name.</summary>
    public static bool IsPredictor(string name) =>
        name.StartsWith("visual.boundary_predictor.", StringComparison.Ordinal)
        || (name.StartsWith("visual.bp", StringComparison.Ordinal) && name.AsSpan("visual.bp".Length).IndexOf('.') is > 0 and var end
            && name.AsSpan("visual.bp".Length, end).IndexOfAnyExceptInRange('0', '9') < 0);

    /// <summary>Names and shapes of all predictors.</summary>
    /// <param name="tower">What the tower's names begin with.</param>
    /// <param name="pooling">The configuration.</param>
    /// <param name="width">Channels C.</param>
    /// <param name="inner">Hidden channels of an MLP.</param>
    public static IEnumerable<(string Name, long[] Shape)> Parameters(string tower, TowerPooling pooling, long width, long inner) =>
        Enumerable.Range(0, pooling.Poolings).SelectMany(index => Of(Name(tower, pooling, index), pooling.RuleEntry, width, inner));

    /// <summary>Builds a pooling's predictor.</summary>
    public static IBoundaryPredictor From(WeightTable weights, string tower, TowerPooling pooling, int index, int width, int inner)
    {
        var (name, rule) = (Name(tower, pooling, index), pooling.RuleEntry);
        return From(weights, name, rule, width, inner);
    }

    /// <summary>Builds the predictor that a rule needs.</summary>
    public static IBoundaryPredictor From(WeightTable weights, string name, PoolingRule rule, int width, int inner) =>
        !rule.NeedsPredictor ? new NoBoundaryPredictor()
        : rule.ComparesNeighbours
            ? new CosineBoundaryPredictor(Projection(weights, $"{name}.q_proj_layer", width), Projection(weights, $"{name}.k_proj_layer", width), rule.Mode)
            : MlpBoundaryPredictor.From(weights, $"{name}.boundary_predictor", width, inner);

    /// <summary>Names and shapes of the predictor that a rule needs.</summary>
    public static (string Name, long[] Shape)[] Of(string name, PoolingRule rule, long width, long inner) =>
        !rule.NeedsPredictor ? []
        : rule.ComparesNeighbours ? [($"{name}.q_proj_layer.weight", [width, width]), ($"{name}.k_proj_layer.weight", [width, width])]
        :
        [
            ($"{name}.boundary_predictor.0.weight", [inner, width]), ($"{name}.boundary_predictor.0.bias", [inner]),
            ($"{name}.boundary_predictor.2.weight", [1, inner]), ($"{name}.boundary_predictor.2.bias", [1]),
        ];

    private static Linear Projection(WeightTable weights, string name, int width) => new(weights.Take($"{name}.weight", width, width), null);
}
