using System.Text.Json.Nodes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Pooling.Towers;

/// <summary>
/// An image tower that pools its patches between stacks of blocks (docs/methods/pooled-towers.md, "Configuration"). Part of the architecture; in JSON
/// the object <c>pooling_cfg</c> of <c>vision_cfg</c>, with the names in parentheses. Compares by value.
/// </summary>
public sealed record TowerPooling
{
    private static readonly (string Word, PatchOrder Value)[] _orders =
        [("raster", PatchOrder.Raster), ("serpentine", PatchOrder.Serpentine), ("hilbert", PatchOrder.Hilbert)];

    /// <summary>What the blocks are, an entry of <see cref="PooledTowers.All"/> (<c>tower</c>).</summary>
    public string Tower { get; init; } = "drip";

    /// <summary>How boundaries are found, an entry of <see cref="PoolingRules.All"/>; null: the tower's own (<c>rule</c>).</summary>
    public string? Rule { get; init; }

    /// <summary>Blocks of every stack; patches are pooled between two (<c>layers</c>).</summary>
    public ValueList<int> Layers { get; init; } = [4, 8];

    /// <summary>The wanted share of boundaries of every pooling; none where nothing is pooled (<c>rates</c>).</summary>
    public ValueList<double> Rates { get; init; } = [0.25];

    /// <summary>Temperature of the Gumbel-sigmoid; null: the tower's own (<c>temperature</c>).</summary>
    public double? Temperature { get; init; }

    /// <summary>What soft boundaries are compared with in training (<c>threshold</c>).</summary>
    public double Threshold { get; init; } = 0.5;

    /// <summary>Weight of the boundaries' loss (<c>loss_weight</c>).</summary>
    public double LossWeight { get; init; } = 1;

    /// <summary>The band of rates that <c>s-drip</c> leaves free (<c>band</c>).</summary>
    public (double Low, double High) Band { get; init; } = (0.2, 0.3);

    /// <summary>The order in which patches are a run (<c>order</c>).</summary>
    public PatchOrder Order { get; init; }

    /// <summary>How boundaries get their gradient, an entry of <see cref="BoundaryGradients.All"/>; null: the rule's own (<c>gradient</c>).</summary>
    public string? Gradient { get; init; }

    /// <summary>Whether evaluation by top-k takes the last patch as one of its k (<c>exact_budget</c>).</summary>
    public bool ExactBudget { get; init; }

    /// <summary>Released towers: whether the task's gradient stops at the boundaries (<c>detached_pooling</c>).</summary>
    public bool DetachedPooling { get; init; }

    /// <summary>Released towers: whether the last run stays open, and an image's features depend on its batch (<c>open_tail</c>).</summary>
    public bool OpenTail { get; init; }

    /// <summary>Released towers: whether padding counts in the mean over pooled tokens (<c>mean_over_padding</c>).</summary>
    public bool MeanOverPadding { get; init; }

    /// <summary>Released towers of pre-norm blocks: whether padding takes part in attention (<c>attend_padding</c>).</summary>
    public bool AttendPadding { get; init; }

    /// <summary>Released towers: whether distances to later patches are those of a shifted causal table (<c>legacy_rel_shift</c>).</summary>
    public bool LegacyRelShift { get; init; }

    /// <summary>Released towers: whether a second pooling takes padding for tokens (<c>pool_padding</c>).</summary>
    public bool PoolPadding { get; init; }

    /// <summary>The entry of the tower.</summary>
    public PooledTower Entry => PooledTowers.All.Find(Tower);

    /// <summary>The entry of the rule.</summary>
    public PoolingRule RuleEntry => PoolingRules.All.Find(Rule ?? Entry.Rule);

    /// <summary>Number of poolings.</summary>
    public int Poolings => Rates.Count;

    /// <summary>Blocks of the whole tower.</summary>
    public int Depth => Layers.Sum();

    /// <summary>What is set about a pooling.</summary>
    /// <param name="index">Which one, 0-based.</param>
    public PoolingOptions Options(int index) => new()
    {
        Rate = Rates[index],
        Temperature = Temperature ?? Entry.Temperature,
        Threshold = Threshold,
        Band = Band,
        ExactBudget = ExactBudget,
        DetachedPooling = DetachedPooling,
        OpenTail = OpenTail,
        Gradient = Gradient is null ? null : BoundaryGradients.All.Find(Gradient).Of,
    };

    /// <summary>Stages as a tower has them before a block, with evenly spread boundaries: for accounts, which look at numbers of tokens only.</summary>
    /// <param name="vision">The tower.</param>
    /// <param name="block">The block, 0-based.</param>
    internal IEnumerable<ITokenStage> Stages(VisionConfig vision, int block)
    {
        var inner = Entry.IsClip ? vision.MlpWidth : 2L * vision.Width;
        var rule = RuleEntry;
        var perToken = !rule.NeedsPredictor ? 0 : rule.ComparesNeighbours ? vision.Width * (1 + (2L * vision.Width)) : PoolingMacs.Predictor(1, vision.Width, inner);
        var ends = Enumerable.Range(0, Layers.Count - 1).Select(stack => Layers.Take(stack + 1).Sum()).ToArray();
        foreach (var index in Enumerable.Range(0, ends.Length).Where(index => ends[index] == block))
        {
            yield return index >= Poolings
                ? new ReadPooled()
                : new PoolRuns(PoolingRules.All.Find("fixed"), Options(index), new NoBoundaryPredictor(perToken))
                {
                    NullRow = Layers.Count > Poolings + 1 ? torch.zeros(1, 1, vision.Width) : null,
                };
        }
    }

    /// <summary>One clause for results and logs.</summary>
    public string Describe() => Poolings == 0
        ? $"{Tower} tower of {string.Join('+', Layers)} blocks without pooling"
        : $"{Tower} tower of {string.Join('+', Layers)} blocks, boundaries by {RuleEntry.Name} at {(Poolings == 1 ? "rate" : "rates")} {string.Join(", ", Rates)}";

    /// <summary>The same configuration, if it makes sense in a tower.</summary>
    /// <param name="vision">The tower.</param>
    /// <param name="source">Where it comes from, for messages.</param>
    /// <exception cref="UserException">Its numbers do not fit together or not the tower.</exception>
    public TowerPooling Validated(VisionConfig vision, string source)
    {
        void Require(bool holds, string why)
        {
            if (!holds)
            {
                throw new UserException($"{source}: {why}.");
            }
        }

        var rule = RuleEntry;
        Require(Layers.Count > 0 && Layers.All(blocks => blocks >= 0) && Depth > 0, $"the stacks of blocks `layers` are [{Layers}], but must be numbers of 0 or more, not all 0");
        var (fewest, most) = Entry.Poolings;
        Require(
            Poolings >= fewest && Poolings <= most,
            $"the tower '{Tower}' pools {(fewest == most ? $"{fewest} time{(fewest == 1 ? "" : "s")}" : $"{fewest} to {most} times")}, but `rates` has {Poolings} of them");
        var stacks = Poolings == 0 ? 1 : Entry.StacksFor(Poolings);
        Require(
            Layers.Count == stacks,
            $"the tower '{Tower}' with {Poolings} pooling{(Poolings == 1 ? "" : "s")} has {stacks} stack{(stacks == 1 ? "" : "s")} of blocks, but `layers` is [{Layers}]");
        foreach (var index in Enumerable.Range(0, Poolings))
        {
            _ = Options(index).Validated();
        }

        Require(
            Entry.IsRelative || Layers[^1] > 0,
            $"the last stack of `layers` [{Layers}] has no blocks, so that nobody would see what is pooled; give it at least one");
        Require(LossWeight >= 0 && double.IsFinite(LossWeight), $"the weight of the boundary loss is {LossWeight}, but must be 0 or more");
        Require(vision.Stages is null, "a ResNet has no stream of patches to pool");
        Require(vision.Layers == Depth, $"the vision tower has {vision.Layers} blocks, but the stacks [{Layers}] of its pooling have {Depth}");
        Require(Entry.HasSeams || vision.Memory is null, $"the tower '{Tower}' cannot have memory layers; use the tower 'vit'");
        Require(Entry.HasSeams || vision.PatchDropout == 0, $"the tower '{Tower}' cannot drop patches; set `patch_dropout` to 0");
        Require(Entry.IsRelative || !LegacyRelShift, $"`legacy_rel_shift` is for towers with relative attention, not for '{Tower}'");
        Require(!Entry.IsRelative || vision.Width % 2 == 0, $"distances have as many sines as cosines, so the width {vision.Width} must be even");
        Require(!OpenTail || rule.Mode == BoundaryMode.Closes, $"`open_tail` needs boundaries that close a run, and those of '{rule.Name}' open one");
        return this;
    }

    /// <summary>Reads the object <c>pooling_cfg</c>.</summary>
    internal static TowerPooling Parse(JsonFields fields)
    {
        var defaults = new TowerPooling();
        var config = new TowerPooling { Tower = fields.Text("tower") ?? defaults.Tower, Rule = fields.Text("rule"), Gradient = fields.Text("gradient") };
        config = config with
        {
            Layers = Whole(fields, "layers") ?? config.Entry.Layers,
            Rates = fields.Numbers("rates") is { } rates ? [.. rates] : [.. Enumerable.Repeat(0.25, config.Entry.Poolings.Fewest)],
            Temperature = fields.Number("temperature"),
            Threshold = fields.Number("threshold") ?? defaults.Threshold,
            LossWeight = fields.Number("loss_weight") ?? defaults.LossWeight,
            Band = fields.Numbers("band") switch
            {
                null => defaults.Band,
                [var low, var high] => (low, high),
                _ => throw fields.Wrong("band", "must be two rates, such as [0.2, 0.3]"),
            },
            Order = fields.Choice("order", defaults.Order, _orders),
            ExactBudget = fields.Bool("exact_budget", false),
            DetachedPooling = fields.Bool("detached_pooling", false),
            OpenTail = fields.Bool("open_tail", false),
            MeanOverPadding = fields.Bool("mean_over_padding", false),
            AttendPadding = fields.Bool("attend_padding", false),
            LegacyRelShift = fields.Bool("legacy_rel_shift", false),
            PoolPadding = fields.Bool("pool_padding", false),
        };
        fields.RefuseUnread();
        return config;
    }

    /// <summary>The object <c>pooling_cfg</c>.</summary>
    internal JsonObject ToJson() => new()
    {
        ["tower"] = Tower,
        ["rule"] = Rule,
        ["layers"] = new JsonArray([.. Layers.Select(blocks => (JsonNode)blocks)]),
        ["rates"] = new JsonArray([.. Rates.Select(rate => (JsonNode)rate)]),
        ["temperature"] = Temperature,
        ["threshold"] = Threshold,
        ["loss_weight"] = LossWeight,
        ["band"] = new JsonArray(Band.Low, Band.High),
        ["order"] = _orders.Single(pair => pair.Value == Order).Word,
        ["gradient"] = Gradient,
        ["exact_budget"] = ExactBudget,
        ["detached_pooling"] = DetachedPooling,
        ["open_tail"] = OpenTail,
        ["mean_over_padding"] = MeanOverPadding,
        ["attend_padding"] = AttendPadding,
        ["legacy_rel_shift"] = LegacyRelShift,
        ["pool_padding"] = PoolPadding,
    };

    private static ValueList<int>? Whole(JsonFields fields, string name) => fields.Numbers(name) switch
    {
        null => null,
        var numbers when numbers.All(number => number is >= 0 and <= 1 << 10 && number == Math.Floor(number)) => [.. numbers.Select(number => (int)number)],
        _ => throw fields.Wrong(name, "must be numbers of blocks, such as [4, 8]"),
    };
}
