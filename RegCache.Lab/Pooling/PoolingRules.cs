using RegCache.Lab.Encoders;

namespace RegCache.Lab.Pooling;

/// <summary>What can be set about a pooling rule.</summary>
public sealed record PoolingOptions
{
    /// <summary>The wanted share of boundaries; of evaluation by top-k the exact one, which may differ from the trained one.</summary>
    public double Rate { get; init; } = 0.25;

    /// <summary>Temperature of the Gumbel-sigmoid.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>What soft boundaries are compared with in training.</summary>
    public double Threshold { get; init; } = 0.5;

    /// <summary>Whether evaluation by top-k always takes the last position as one of its k.</summary>
    public bool ExactBudget { get; init; }

    /// <summary>The band of rates that <c>s-drip</c> leaves free.</summary>
    public (double Low, double High) Band { get; init; } = (0.2, 0.3);

    /// <summary>
    /// Whether the last segment may stay open, as in released image towers: it then has a row only where the batch has room for one, so that an image's
    /// features depend on the other images.
    /// </summary>
    public bool OpenTail { get; init; }

    /// <summary>Whether the gradient of the pooled rows stops at the boundaries, so that the rate loss alone trains the predictor, as in older releases.</summary>
    public bool DetachedPooling { get; init; }

    /// <summary>Another gradient of boundaries than the rule's own; null keeps that.</summary>
    public BoundaryGradient? Gradient { get; init; }

    /// <summary>The same after a check.</summary>
    /// <exception cref="UserException">A value is impossible.</exception>
    public PoolingOptions Validated()
    {
        BoundaryLosses.RequireRate(Rate);
        BoundaryLosses.RequireRate(Threshold, "The threshold");
        BoundaryLosses.RequireBand(Band.Low, Band.High);
        return Temperature > 0 && double.IsFinite(Temperature)
            ? this
            : throw new UserException($"The temperature is {Temperature}, but must be a number above 0, such as 0.5.");
    }
}

/// <summary>What a pooling stage makes of tokens.</summary>
/// <param name="Rows">Means of the segments [S,B,C].</param>
/// <param name="Segments">The segments, with their sizes and which of them are valid.</param>
/// <param name="Scores">The predictor's scores; null where boundaries are given.</param>
/// <param name="Decision">Where boundaries are, before one is forced; null where they are given.</param>
/// <param name="Loss">The loss of the rate, [].</param>
/// <param name="Rate">Mean share of boundaries, [], of those that the loss sees.</param>
public sealed record PooledTokens(Tensor Rows, Segments Segments, BoundaryScores? Scores, BoundaryDecision? Decision, Tensor Loss, Tensor Rate) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => [Rows, .. Segments.Tensors, .. Scores?.Tensors ?? [], .. Decision?.Tensors ?? [], Loss, Rate];
}

/// <summary>
/// A way to find boundaries and pool between them: who predicts, which position is forced, how scores become boundaries in training and in
/// evaluation, the loss of the rate and the gradient through pooling (docs/methods/dynamic-pooling.md, "Rules").
/// </summary>
/// <param name="Name">The name of the rule.</param>
/// <param name="Help">What it is, in one line.</param>
/// <param name="Mode">What a boundary does.</param>
public sealed record PoolingRule(string Name, string Help, BoundaryMode Mode) : IListed
{
    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];

    /// <summary>Whether the last position that closes, or the first one that opens, is a boundary whatever the predictor says.</summary>
    public bool Forces { get; init; } = true;

    /// <summary>Whether the loss counts the forced boundary as one.</summary>
    public bool CountsForced { get; init; } = true;

    /// <summary>Whether a predictor says where boundaries are; evenly spread ones need none.</summary>
    public bool NeedsPredictor { get; init; } = true;

    /// <summary>Whether its predictor compares neighbours; otherwise it is an MLP on the token.</summary>
    public bool ComparesNeighbours { get; init; }

    /// <summary>Boundaries in training, of scores and noise.</summary>
    public required Func<BoundaryScores, Tensor?, PoolingOptions, BoundaryDecision> Train { get; init; }

    /// <summary>Boundaries in evaluation, without noise.</summary>
    public required Func<BoundaryScores, PoolingOptions, BoundaryDecision> Evaluate { get; init; }

    /// <summary>The loss of the rate, of the straight-through boundaries [B,T] and the scores.</summary>
    public required Func<Tensor, BoundaryScores, PoolingOptions, Tensor> Loss { get; init; }

    /// <summary>How boundaries get their gradient.</summary>
    public BoundaryGradient Gradient { get; init; } = BoundaryGradients.Left;

    /// <summary>Pools tokens.</summary>
    /// <param name="hidden">Tokens [T,B,C].</param>
    /// <param name="predictor">Scores them.</param>
    /// <param name="options">Rate, temperature and so on.</param>
    /// <param name="training">Whether boundaries are drawn as in training.</param>
    /// <param name="noise">Uniform numbers [B,T] for rules that draw; null draws without noise.</param>
    /// <param name="tokens">What else is known of the tokens; null: nothing.</param>
    /// <exception cref="UserException">An option is impossible.</exception>
    public PooledTokens Apply(
        Tensor hidden, IBoundaryPredictor predictor, PoolingOptions options, bool training, Tensor? noise = null, TokensToPool? tokens = null) => TensorScope.Run(() =>
    {
        options.Validated();
        var valid = tokens?.Valid;
        var scores = predictor.Score(hidden) with { Valid = valid };
        var decision = training ? Train(scores, noise, options) : Evaluate(scores, options);
        decision = valid is null ? decision : decision with { Hard = decision.Hard.logical_and(valid) };
        var free = Masked(decision.StraightThrough(), valid);
        var isOpen = options.OpenTail && (tokens?.MayBeNone is true || decision.Hard.any().item<bool>());
        var values = isOpen ? free : Force(free, valid);
        var segments = Segments.Of(isOpen ? decision.Hard : Force(decision.Hard, valid), Mode, valid);
        var hard = options.DetachedPooling ? null : values;
        Tensor Mean(Tensor rows, Tensor? gradient) => SegmentPooling.Mean(rows, gradient, segments, options.Gradient ?? Gradient);
        var averaged = tokens?.Averaged ?? hidden;
        var rows = tokens?.Weights is { } weights ? Mean(averaged * weights, hard) / Mean(weights, null).clamp(min: 1e-9) : Mean(averaged, hard);
        var counted = CountsForced ? values : free;
        var rate = valid is null ? counted.detach().mean() : counted.detach().sum() / valid.sum();
        return new PooledTokens(rows, segments, scores, decision, Loss(counted, scores, options), rate);

        static Tensor Masked(Tensor marks, Tensor? valid) => valid is null ? marks : torch.where(valid, marks, torch.zeros_like(marks));
    });

    /// <summary>Boundaries [B,T] with the forced one in its place; it is a constant and has no gradient.</summary>
    /// <param name="boundaries">The boundaries.</param>
    /// <param name="valid">Which positions hold a token [B,T], bool; null: all do. The last one of them is forced.</param>
    public Tensor Force(Tensor boundaries, Tensor? valid = null)
    {
        if (!Forces)
        {
            return boundaries;
        }

        if (valid is not null && Mode == BoundaryMode.Closes)
        {
            return TensorScope.Run(() => torch.where(BoundaryDecisions.Last(new(boundaries, boundaries) { Valid = valid }), torch.ones_like(boundaries), boundaries));
        }

        var one = torch.ones_like(boundaries.narrow(1, 0, 1));
        var others = boundaries.shape[1] - 1;
        return Mode == BoundaryMode.Closes
            ? torch.cat([boundaries.narrow(1, 0, others), one], 1)
            : torch.cat([one, boundaries.narrow(1, 1, others)], 1);
    }
}

/// <summary>What is known of tokens that are pooled, besides what their predictor sees.</summary>
public sealed record TokensToPool
{
    /// <summary>What is averaged [T,B,C] where that is not what the predictor sees.</summary>
    public Tensor? Averaged { get; init; }

    /// <summary>Patches that each token stands for [T,B,1], where they differ: means count a token by them.</summary>
    public Tensor? Weights { get; init; }

    /// <summary>Which positions hold a token [B,T], bool; null: all do.</summary>
    public Tensor? Valid { get; init; }

    /// <summary>Whether a batch without any row makes sense, as where a null row stands in front.</summary>
    public bool MayBeNone { get; init; }
}

/// <summary>The pooling rules that the kit knows.</summary>
public static class PoolingRules
{
    /// <summary>All of them. A rule more is an entry more.</summary>
    public static OpenList<PoolingRule> All { get; } = new(
        "pooling rule",
        new("dtp", "Dynamic token pooling: noise in training, a threshold in evaluation, binomial prior; the last segment may stay open.", BoundaryMode.Closes)
        {
            Forces = false, Train = Gumbel, Evaluate = Half, Loss = Prior, Gradient = BoundaryGradients.Suffix,
        },
        new("drip", "DRIP: noise in training, a threshold in evaluation, binomial prior; the last position closes and is not counted.", BoundaryMode.Closes)
        {
            CountsForced = false, Train = Gumbel, Evaluate = Half, Loss = Prior, Gradient = BoundaryGradients.Suffix,
        },
        new("s-drip", "The same with a band of rates in place of the prior.", BoundaryMode.Closes)
        {
            CountsForced = false, Train = Gumbel, Evaluate = Half, Gradient = BoundaryGradients.Suffix,
            Loss = (values, scores, options) => BoundaryLosses.Range(values, options.Band.Low, options.Band.High, scores.Valid),
        },
        new("ditto", "DITTO: noise in training, the most probable positions in evaluation, binomial prior; the last position closes.", BoundaryMode.Closes)
        {
            Train = Gumbel, Evaluate = TopK, Loss = Prior,
        },
        new("cosine", "The same for a predictor that compares neighbours, such as CosineBoundaryPredictor.", BoundaryMode.Closes)
        {
            ComparesNeighbours = true, Train = Gumbel, Evaluate = TopK, Loss = Prior,
        },
        new("router", "Neighbours compared, no noise, ratio loss of every sample; the first position opens.", BoundaryMode.Opens)
        {
            ComparesNeighbours = true,
            Train = (scores, _, _) => BoundaryDecisions.Threshold(scores.Probabilities, inclusive: true),
            Evaluate = (scores, _) => BoundaryDecisions.Threshold(scores.Probabilities, inclusive: true),
            Loss = (values, scores, options) => BoundaryLosses.Ratio(values, scores.Probabilities, 1 / options.Rate, perSample: true),
        },
        new("h-net", "H-Net's chunking with means in place of chosen tokens: neighbours compared, ratio loss of the whole batch; the first position opens.", BoundaryMode.Opens)
        {
            ComparesNeighbours = true,
            Train = (scores, _, _) => BoundaryDecisions.Threshold(scores.Probabilities),
            Evaluate = (scores, _) => BoundaryDecisions.Threshold(scores.Probabilities),
            Loss = (values, scores, options) => BoundaryLosses.Ratio(values, scores.Probabilities, 1 / options.Rate, perSample: false),
        },
        new("fixed", "Evenly spread boundaries, whatever the tokens are; no loss.", BoundaryMode.Closes)
        {
            NeedsPredictor = false, Train = (scores, _, options) => Spread(scores, options), Evaluate = Spread, Loss = NoLoss,
        },
        new("every", "A boundary at every n-th position, n = 1 / rate rounded, whatever the tokens are; no loss.", BoundaryMode.Closes)
        {
            NeedsPredictor = false, Train = (scores, _, options) => Every(scores, options), Evaluate = Every, Loss = NoLoss,
        });

    private static Tensor NoLoss(Tensor values, BoundaryScores scores, PoolingOptions options) => torch.zeros([], torch.ScalarType.Float32, values.device);

    private static BoundaryDecision Gumbel(BoundaryScores scores, Tensor? noise, PoolingOptions options) =>
        BoundaryDecisions.Gumbel(scores.Logits, noise, options.Temperature, options.Threshold);

    private static BoundaryDecision Half(BoundaryScores scores, PoolingOptions options) => BoundaryDecisions.Threshold(scores.Probabilities);

    private static BoundaryDecision TopK(BoundaryScores scores, PoolingOptions options) =>
        BoundaryDecisions.TopK(scores, options.Rate, options.ExactBudget);

    private static Tensor Prior(Tensor values, BoundaryScores scores, PoolingOptions options) => BoundaryLosses.Binomial(values, options.Rate, scores.Valid);

    private static BoundaryDecision Spread(BoundaryScores scores, PoolingOptions options) => TensorScope.Run(() =>
    {
        var marks = torch.zeros(scores.Probabilities.shape, torch.ScalarType.Bool, scores.Probabilities.device);
        foreach (var (sample, length) in (scores.Valid is null ? [marks.shape[1]] : scores.Lengths()).Index())
        {
            var positions = torch.tensor(BoundaryDecisions.Spread(length, options.Rate), device: marks.device);
            (scores.Valid is null ? marks : marks.narrow(0, sample, 1)).index_fill_(1, positions, 1);
        }

        return new BoundaryDecision(torch.zeros_like(scores.Probabilities), marks);
    });

    private static BoundaryDecision Every(BoundaryScores scores, PoolingOptions options) => TensorScope.Run(() =>
    {
        var step = Math.Max(1, (long)Math.Round(1 / options.Rate));
        var positions = torch.arange(1, scores.Probabilities.shape[1] + 1, torch.ScalarType.Int64, scores.Probabilities.device);
        return new BoundaryDecision(torch.zeros_like(scores.Probabilities), positions.remainder(step).eq(0).expand(scores.Probabilities.shape));
    });
}
