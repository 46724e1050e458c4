using System.Text.Json.Serialization;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Pooling;
using RegCache.Lab.Pooling.Towers;

namespace RegCache.Lab.Training.Clip;

/// <summary>What a CLIP training's JSON file says of pooling: the fields <c>boundary_*</c> (docs/methods/pooled-towers.md, "Training").</summary>
public abstract record ClipPoolingConfig
{
    /// <summary>The image tower that pools patches, an entry of <see cref="PooledTowers"/>; null pools none.</summary>
    public string? BoundaryTower { get; init; }

    /// <summary>How it finds boundaries, an entry of <see cref="PoolingRules"/>; null: as the tower does by itself.</summary>
    public string? BoundaryRule { get; init; }

    /// <summary>Blocks of its stacks, a list such as "4,8"; null: the tower's own, or in the same proportion for a model of another depth.</summary>
    public string? BoundaryLayers { get; init; }

    /// <summary>The wanted share of boundaries, one for each pooling.</summary>
    public IReadOnlyList<double>? BoundaryRate { get; init; }

    /// <summary>Temperature of the Gumbel-sigmoid; null: the tower's own.</summary>
    public double? BoundaryTemp { get; init; }

    /// <summary>What soft boundaries are compared with in training.</summary>
    public double BoundaryThreshold { get; init; } = 0.5;

    /// <summary>Weight of the boundaries' loss.</summary>
    public double BoundaryLossWeight { get; init; } = 1;

    /// <summary>The band of rates that the rule <c>s-drip</c> leaves free.</summary>
    public IReadOnlyList<double>? BoundaryBand { get; init; }

    /// <summary>The order in which patches are a run.</summary>
    public PatchOrder BoundaryOrder { get; init; }

    /// <summary>How boundaries get their gradient, an entry of <see cref="BoundaryGradients"/>; null: as the rule says.</summary>
    public string? BoundaryGradient { get; init; }

    /// <summary>Whether evaluation by top-k takes the last patch as one of its k.</summary>
    public bool BoundaryExactBudget { get; init; }

    /// <summary>As released towers: the task's gradient stops at the boundaries.</summary>
    public bool BoundaryDetachedPooling { get; init; }

    /// <summary>As released towers: the last run stays open.</summary>
    public bool BoundaryOpenTail { get; init; }

    /// <summary>As released towers: padding counts in means.</summary>
    public bool BoundaryMeanOverPadding { get; init; }

    /// <summary>As released towers: padding takes part in attention.</summary>
    public bool BoundaryAttendPadding { get; init; }

    /// <summary>As released towers: distances to later patches are those of a shifted causal table.</summary>
    public bool BoundaryLegacyRelShift { get; init; }

    /// <summary>As released towers: a second pooling takes padding for tokens.</summary>
    public bool BoundaryPoolPadding { get; init; }

    /// <summary>How the text tower pools its tokens; null: it pools none.</summary>
    public TextBoundaryKind? BoundaryText { get; init; }

    /// <summary>Blocks of its three stacks, a list such as "2,8,2"; null: in that proportion.</summary>
    public string? BoundaryTextLayers { get; init; }

    /// <summary>The wanted share of boundaries in texts.</summary>
    public double BoundaryTextRate { get; init; } = 0.5;

    /// <summary>Temperature of the text tower's Gumbel-sigmoid.</summary>
    public double BoundaryTextTemp { get; init; } = 0.5;

    /// <summary>Weight of the loss of the text tower's boundaries.</summary>
    public double BoundaryTextLossWeight { get; init; } = 1;

    /// <summary>The command that runs it.</summary>
    [JsonIgnore]
    public abstract string Command { get; }

    /// <summary>Whether the configuration asks for pooling in a tower.</summary>
    [JsonIgnore]
    public bool Pools => BoundaryTower is not null || BoundaryText is not null;

    /// <summary>An architecture with the pooling that the configuration asks for.</summary>
    /// <param name="architecture">The architecture without it.</param>
    /// <param name="keepDepth">Whether the towers have the blocks that they have; otherwise the stacks say how many.</param>
    /// <exception cref="UserException">The pooling is impossible, or not in these towers.</exception>
    public ClipConfig WithPooling(ClipConfig architecture, bool keepDepth)
    {
        var result = architecture;
        if (BoundaryTower is not null)
        {
            var pooling = ImagePooling(architecture.Vision);
            var vision = architecture.Vision with { Pooling = pooling, Layers = keepDepth ? architecture.Vision.Layers : pooling.Depth };
            result = result with { Vision = pooling.Entry.Shape(vision) };
        }

        if (BoundaryText is { } kind)
        {
            var text = architecture.Text ?? throw new UserException("The model has no text tower whose tokens could be pooled (`boundary_text`).");
            var pooling = new TextTowerPooling
            {
                Layers = BoundaryTextLayers is null ? PoolingStacks.Scaled([2, 8, 2], text.Layers) : PoolingStacks.Parse(BoundaryTextLayers, "`boundary_text_layers`"),
                Boundaries = kind,
                Rate = BoundaryTextRate,
                Temperature = BoundaryTextTemp,
                LossWeight = BoundaryTextLossWeight,
            };
            result = result with { Text = text with { Pooling = pooling, Layers = keepDepth ? text.Layers : pooling.Layers.Sum() } };
        }

        return result.Validated(Command);
    }

    private TowerPooling ImagePooling(VisionConfig vision)
    {
        if (vision.Stages is not null)
        {
            throw ModifiedResNet.HasNoTokens();
        }

        var tower = PooledTowers.All.Find(BoundaryTower!);
        ValueList<double> rates = BoundaryRate is null ? [.. Enumerable.Repeat(0.25, Math.Max(1, tower.Poolings.Fewest))] : [.. BoundaryRate];
        var stacks = rates.Count == 0 ? 1 : tower.StacksFor(rates.Count);
        ValueList<int> usual = stacks == tower.Layers.Count ? tower.Layers : stacks == 3 ? [3, 3, 6] : [.. Enumerable.Repeat(1, stacks)];
        return new()
        {
            Tower = tower.Name,
            Rule = BoundaryRule,
            Layers = BoundaryLayers is null ? PoolingStacks.Scaled(usual, vision.Layers) : PoolingStacks.Parse(BoundaryLayers, "`boundary_layers`"),
            Rates = rates,
            Temperature = BoundaryTemp,
            Threshold = BoundaryThreshold,
            LossWeight = BoundaryLossWeight,
            Band = BoundaryBand is [var low, var high] ? (low, high) : new TowerPooling().Band,
            Order = BoundaryOrder,
            Gradient = BoundaryGradient,
            ExactBudget = BoundaryExactBudget,
            DetachedPooling = BoundaryDetachedPooling,
            OpenTail = BoundaryOpenTail,
            MeanOverPadding = BoundaryMeanOverPadding,
            AttendPadding = BoundaryAttendPadding,
            LegacyRelShift = BoundaryLegacyRelShift,
            PoolPadding = BoundaryPoolPadding,
        };
    }

    /// <summary>Refuses impossible values of these fields.</summary>
    /// <param name="source">The file, for messages.</param>
    /// <exception cref="UserException">A value is impossible; the message names it.</exception>
    protected void RequirePooling(string source)
    {
        void Require(bool holds, string field, object? value, string rule) => Refuse(source, holds, field, value, rule);
        Require(BoundaryTower is not null || BoundaryRule is null, "boundary_rule", BoundaryRule, "left out without `boundary_tower`");
        Require(BoundaryTower is not null || BoundaryLayers is null, "boundary_layers", BoundaryLayers, "left out without `boundary_tower`");
        Require(BoundaryTower is not null || BoundaryRate is null, "boundary_rate", BoundaryRate is null ? null : string.Join(',', BoundaryRate), "left out without `boundary_tower`");
        Require(BoundaryText is not null || BoundaryTextLayers is null, "boundary_text_layers", BoundaryTextLayers, "left out without `boundary_text`");
        Require(BoundaryBand is null or [_, _], "boundary_band", BoundaryBand is null ? null : string.Join(',', BoundaryBand), "two rates, such as 0.2,0.3");
        Require(BoundaryTower is null || PooledTowers.All.Names.Contains(BoundaryTower), "boundary_tower", BoundaryTower, $"one of {string.Join(", ", PooledTowers.All.Names)}");
        Require(BoundaryRule is null || PoolingRules.All.Names.Contains(BoundaryRule), "boundary_rule", BoundaryRule, $"one of {string.Join(", ", PoolingRules.All.Names)}");
        Require(
            BoundaryGradient is null || BoundaryGradients.All.Names.Contains(BoundaryGradient),
            "boundary_gradient",
            BoundaryGradient,
            $"one of {string.Join(", ", BoundaryGradients.All.Names)}");
    }

    /// <summary>Refuses a value, naming its field.</summary>
    protected static void Refuse(string source, bool holds, string field, object? value, string rule)
    {
        if (!holds)
        {
            throw new UserException($"{source}: `{field}` is {value}, but must be {rule}.");
        }
    }
}
