using System.Text.Json.Nodes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Pooling.Towers;

/// <summary>How a pooled text tower finds its boundaries.</summary>
public enum TextBoundaryKind
{
    /// <summary>Drawn by a predictor and learned end to end, at a rate that a prior holds.</summary>
    Gumbel,

    /// <summary>At the last piece of every word, and at the tokens that start and end a text.</summary>
    Words,
}

/// <summary>
/// Pooling in the causal text tower (docs/methods/pooled-towers.md, "Text"): the first blocks run on tokens, those in the middle on pooled ones, and the
/// last on tokens again, which have read the newest pooled token and added it to themselves. So the end of a text keeps its place. In JSON the object
/// <c>pooling_cfg</c> of <c>text_cfg</c>, with the names in parentheses. Compares by value.
/// </summary>
public sealed record TextTowerPooling
{
    private static readonly (string Word, TextBoundaryKind Value)[] _kinds = [("gumbel", TextBoundaryKind.Gumbel), ("words", TextBoundaryKind.Words)];

    // The boundaries that the vocabulary gives: nothing is drawn or learned.
    private static readonly PoolingRule _given = new("words", "At the last piece of every word.", BoundaryMode.Closes)
    {
        CountsForced = false,
        NeedsPredictor = false,
        Train = (scores, _, _) => BoundaryDecisions.Threshold(scores.Probabilities),
        Evaluate = (scores, _) => BoundaryDecisions.Threshold(scores.Probabilities),
        Loss = (values, _, _) => torch.zeros([], torch.ScalarType.Float32, values.device),
    };

    /// <summary>Blocks before pooling, on pooled tokens, and after (<c>layers</c>).</summary>
    public ValueList<int> Layers { get; init; } = [2, 8, 2];

    /// <summary>How boundaries are found (<c>boundaries</c>).</summary>
    public TextBoundaryKind Boundaries { get; init; }

    /// <summary>The wanted share of boundaries (<c>rate</c>).</summary>
    public double Rate { get; init; } = 0.5;

    /// <summary>Temperature of the Gumbel-sigmoid (<c>temperature</c>).</summary>
    public double Temperature { get; init; } = 0.5;

    /// <summary>Weight of the boundaries' loss (<c>loss_weight</c>).</summary>
    public double LossWeight { get; init; } = 1;

    /// <summary>One clause for results and logs.</summary>
    public string Describe() => $"text pooled in {string.Join('+', Layers)} blocks by {(Boundaries == TextBoundaryKind.Words ? "words" : $"gumbel at rate {Rate}")}";

    /// <summary>The same configuration, if it makes sense in a tower.</summary>
    /// <param name="text">The tower.</param>
    /// <param name="source">Where it comes from, for messages.</param>
    /// <exception cref="UserException">Its numbers do not fit together or not the tower.</exception>
    public TextTowerPooling Validated(TextConfig text, string source)
    {
        void Require(bool holds, string why)
        {
            if (!holds)
            {
                throw new UserException($"{source}: {why}.");
            }
        }

        Require(
            Layers is [>= 0, >= 0, >= 1],
            $"a pooled text tower has three stacks of blocks, of which the last has at least one, but `layers` is [{Layers}]; write such as [2, 8, 2]");
        Require(Layers.Sum() == text.Layers, $"the text tower has {text.Layers} blocks, but the stacks [{Layers}] of its pooling have {Layers.Sum()}");
        Require(text.PoolType == TextPooling.ArgMax, "a pooled text tower needs the end of text as its feature (`pool_type` argmax)");
        Require(LossWeight >= 0 && double.IsFinite(LossWeight), $"the weight of the boundary loss is {LossWeight}, but must be 0 or more");
        _ = Options.Validated();
        return this;
    }

    /// <summary>The rule.</summary>
    internal PoolingRule Rule => Boundaries == TextBoundaryKind.Words ? _given : PoolingRules.All.Find("drip");

    /// <summary>What is set about it.</summary>
    internal PoolingOptions Options => new() { Rate = Rate, Temperature = Temperature };

    /// <summary>Reads the object <c>pooling_cfg</c>.</summary>
    internal static TextTowerPooling Parse(JsonFields fields)
    {
        var defaults = new TextTowerPooling();
        var config = new TextTowerPooling
        {
            Layers = fields.Numbers("layers") is { } layers ? [.. layers.Select(blocks => (int)blocks)] : defaults.Layers,
            Boundaries = fields.Choice("boundaries", defaults.Boundaries, _kinds),
            Rate = fields.Number("rate") ?? defaults.Rate,
            Temperature = fields.Number("temperature") ?? defaults.Temperature,
            LossWeight = fields.Number("loss_weight") ?? defaults.LossWeight,
        };
        fields.RefuseUnread();
        return config;
    }

    /// <summary>The object <c>pooling_cfg</c>.</summary>
    internal JsonObject ToJson() => new()
    {
        ["layers"] = new JsonArray([.. Layers.Select(blocks => (JsonNode)blocks)]),
        ["boundaries"] = _kinds.Single(pair => pair.Value == Boundaries).Word,
        ["rate"] = Rate,
        ["temperature"] = Temperature,
        ["loss_weight"] = LossWeight,
    };

    /// <summary>Names and shapes of the tensors that it adds.</summary>
    /// <param name="prefix">What the text tower's names begin with.</param>
    /// <param name="text">The tower.</param>
    internal IEnumerable<(string Name, long[] Shape)> Parameters(string prefix, TextConfig text) =>
    [
        .. TowerPredictors.Of(TextPooler.Name(prefix) + "boundary_predictor", Rule, text.Width, text.MlpWidth),
        .. Boundaries == TextBoundaryKind.Words ? new (string, long[])[] { (TextPooler.Name(prefix) + TextPooler.WordEnds, [text.VocabSize]) } : [],
        (TextPooler.Name(prefix) + "null_group", [1, 1, text.Width]),
        (TextPooler.Name(prefix) + "down_ln.weight", [text.Width]),
        (TextPooler.Name(prefix) + "down_ln.bias", [text.Width]),
    ];
}

/// <summary>The pooling of a text tower on its tensors: the stages before its blocks, made for the texts that run.</summary>
internal sealed class TextPooler
{
    /// <summary>The table of ids that end a word, 1 or 0, which nothing trains.</summary>
    public const string WordEnds = "word_ends";

    private const double NormEpsilon = 1e-5;

    private readonly TextTowerPooling _config;
    private readonly PoolRuns _stage;
    private readonly Tensor? _wordEnds;

    public TextPooler(TextConfig text, WeightTable weights, string prefix)
    {
        _config = text.Pooling!;
        var name = Name(prefix);
        _wordEnds = weights.TakeIfPresent(name + WordEnds, text.VocabSize);
        _stage = new(_config.Rule, _config.Options, TowerPredictors.From(weights, $"{name}boundary_predictor", _config.Rule, text.Width, text.MlpWidth))
        {
            NullRow = weights.Take($"{name}null_group", 1, 1, text.Width),
            StreamNorm = TowerWeights.LayerNorm(weights, $"{name}down_ln", text.Width, NormEpsilon),
        };
    }

    /// <summary>What the names of its tensors begin with.</summary>
    public static string Name(string prefix) => $"{prefix}transformer.pooling.";

    /// <summary>Whether a tensor is no parameter, by its name.</summary>
    public static bool IsTable(string name) => name.EndsWith($"transformer.pooling.{WordEnds}", StringComparison.Ordinal);

    /// <summary>The stream of texts with everything behind their ends as padding.</summary>
    /// <param name="stream">The embedded texts.</param>
    /// <param name="ends">The position of every text's end [B], int64.</param>
    public static TokenBatch HidePadding(TokenBatch stream, Tensor ends) => TensorScope.Run(() =>
    {
        var positions = torch.arange(stream.Length, torch.ScalarType.Int64, ends.device).unsqueeze(0);
        return stream with { Sizes = positions.le(ends.unsqueeze(1)).to(torch.ScalarType.Float32).unsqueeze(2), HasPadding = true };
    });

    /// <summary>The stages before a block.</summary>
    /// <param name="block">The block, 0-based.</param>
    /// <param name="ids">The texts' ids [B,T].</param>
    /// <param name="pass">The pass of a training; null for evaluation.</param>
    public ValueList<ITokenStage> Before(int block, Tensor ids, PoolingPass? pass)
    {
        var (first, last) = (_config.Layers[0], _config.Layers[0] + _config.Layers[1]);
        var stage = _wordEnds is null ? _stage : _stage with { Predictor = new GivenBoundaries(_wordEnds, ids) };
        return
        [
            .. block == first ? [pass is null ? stage : stage.InTraining(pass, 0, _config.LossWeight)] : (ITokenStage[])[],
            .. block == last ? [new ReadPooled()] : (ITokenStage[])[],
        ];
    }

    /// <summary>Boundaries where an id ends a word.</summary>
    private sealed record GivenBoundaries(Tensor WordEnds, Tensor Ids) : IBoundaryPredictor
    {
        public BoundaryScores Score(Tensor hidden) => TensorScope.Run(() =>
        {
            var marks = WordEnds.index_select(0, Ids.flatten()).view_as(Ids).to(torch.ScalarType.Float32);
            return new BoundaryScores(marks, marks);
        });

        public long Macs(long tokens, long width) => 0;
    }
}
