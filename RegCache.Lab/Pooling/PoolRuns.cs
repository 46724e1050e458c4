using RegCache.Lab.Encoders;

namespace RegCache.Lab.Pooling;

/// <summary>
/// Seam 1: pools runs of patch tokens to their means (docs/methods/pooled-towers.md, "The stage"). Class and register tokens stay in front as they
/// are. A pooled token's size is the number of its patches, its position that of its first one; images with fewer of them than others of the batch
/// have padding of size 0 behind theirs.
/// </summary>
/// <param name="Rule">How boundaries are found.</param>
/// <param name="Options">The rate and so on.</param>
/// <param name="Predictor">Scores patches as they arrive.</param>
public sealed record PoolRuns(PoolingRule Rule, PoolingOptions Options, IBoundaryPredictor Predictor) : ITokenStage
{
    /// <summary>The order in which patches are a run.</summary>
    public PatchOrder Order { get; init; }

    /// <summary>Normalises patches before they are averaged, `down_ln`; null averages them as they arrive.</summary>
    public LayerNorm? PatchNorm { get; init; }

    /// <summary>Normalises everything that goes on; null leaves it.</summary>
    public LayerNorm? StreamNorm { get; init; }

    /// <summary>
    /// What patches read that no pooled token covers yet [1,1,C]; with it the stream that arrived is set aside, for <see cref="ReadPooled"/>. Null
    /// sets nothing aside.
    /// </summary>
    public Tensor? NullRow { get; init; }

    /// <summary>Whether padding goes on as tokens, as in released towers: it then takes part in attention and means, and features depend on the batch.</summary>
    public bool KeepsPadding { get; init; }

    /// <summary>A stage that needs no training: evenly spread boundaries, or neighbours compared as they are.</summary>
    /// <param name="rule">An entry of <see cref="PoolingRules.All"/>.</param>
    /// <param name="rate">The wanted share of boundaries.</param>
    /// <param name="order">The order of patches.</param>
    /// <exception cref="UserException">The rule needs a trained predictor, or the rate is impossible.</exception>
    public static PoolRuns WithoutTraining(string rule, double rate, PatchOrder order = PatchOrder.Raster)
    {
        var found = PoolingRules.All.Find(rule);
        IBoundaryPredictor predictor = !found.NeedsPredictor ? new NoBoundaryPredictor()
            : found.ComparesNeighbours ? new CosineBoundaryPredictor(null, null, found.Mode)
            : throw new UserException(
                $"The pooling rule '{rule}' needs a trained predictor, which a plan does not have: use one of {string.Join(", ", Untrained)}, or train a tower with it.");
        return new(found, (new PoolingOptions { Rate = rate, ExactBudget = true }).Validated(), predictor) { Order = order };
    }

    /// <summary>The rules that plans of any model can use.</summary>
    public static IReadOnlyList<string> Untrained =>
        [.. PoolingRules.All.Where(rule => !rule.NeedsPredictor || rule.ComparesNeighbours).Select(rule => rule.Name)];

    /// <inheritdoc />
    public TokenBatch Apply(TokenBatch batch, StageContext context) => Pool(batch, training: false).Stream;

    /// <inheritdoc />
    public long Macs(TokenBatch batch, StageContext context) => Predictor.Macs(batch.Length - batch.Layout.ProtectedTokens, batch.Tokens.shape[2]);

    /// <inheritdoc />
    public ITokenStage Expected => this with { Rule = PoolingRules.All.Find("fixed"), Predictor = new NoBoundaryPredictor() };

    /// <summary>The stage as a training runs it: boundaries are drawn, and their loss goes along with the tokens' gradient.</summary>
    /// <param name="pass">Draws and collects.</param>
    /// <param name="index">Which of the tower's poolings this is, 0-based.</param>
    /// <param name="lossWeight">Weight of its loss.</param>
    public ITokenStage InTraining(PoolingPass pass, int index, double lossWeight) => new TrainedPooling(this, pass, index, lossWeight);

    /// <summary>Pools a stream and tells how.</summary>
    /// <param name="batch">The stream [B,N,C].</param>
    /// <param name="training">Whether boundaries are drawn as in training.</param>
    /// <param name="noise">Uniform numbers [B,T] for the patches in their order; null draws without noise.</param>
    public PooledBatch Pool(TokenBatch batch, bool training, Tensor? noise = null) => TensorScope.Run(() =>
    {
        var stream = PatchOrders.Arrange(batch, Order);
        var first = stream.Layout.ProtectedTokens;
        var count = stream.Length - first;
        Tensor Patches(Tensor rows) => rows.narrow(1, first, count);
        var hidden = Patches(stream.Tokens).transpose(0, 1).contiguous();
        var sizes = stream.Sizes is { } known ? Patches(known) : null;
        var pooled = Rule.Apply(hidden, Predictor, Options, training, noise, new()
        {
            Averaged = PatchNorm?.Apply(hidden),
            Weights = sizes?.transpose(0, 1),
            MayBeNone = NullRow is not null,
            Valid = stream.HasPadding ? sizes!.squeeze(2).gt(0) : null,
        });
        var segments = pooled.Segments;
        Tensor With(Tensor leading, Tensor rows) => torch.cat([leading.narrow(1, 0, first), rows.transpose(0, 1)], 1);
        Tensor Summed(Tensor rows) => SegmentPooling.Sum(Patches(rows).transpose(0, 1), segments);
        var ones = torch.ones([batch.Images, stream.Length, 1], torch.ScalarType.Float32, hidden.device);
        var result = stream with
        {
            Tokens = With(stream.Tokens, pooled.Rows),
            Sizes = With(stream.Sizes ?? ones, sizes is null ? segments.Sizes.unsqueeze(2).to(torch.ScalarType.Float32) : Summed(stream.Sizes!)),
            HasPadding = !KeepsPadding && segments.Sizes.eq(0).any().item<bool>(),
            Sources = stream.Sources is { } sources ? With(sources, Summed(sources)) : null,
            Positions = With(stream.Positions ?? Natural(stream), Starts(stream, segments)),
            Layout = stream.Layout with { Windows = null },
        };
        result = NullRow is null ? result : WithAside(stream, result, segments, NullRow);
        return new PooledBatch(StreamNorm is null ? result : result with { Tokens = StreamNorm.Apply(result.Tokens) }, pooled);
    });

    /// <inheritdoc />
    public bool Equals(PoolRuns? other) => other is not null
        && Rule.Name == other.Rule.Name && Options == other.Options && (Order, KeepsPadding) == (other.Order, other.KeepsPadding) && IsSame(Predictor, other.Predictor)
        && ReferenceEquals(PatchNorm, other.PatchNorm) && ReferenceEquals(StreamNorm, other.StreamNorm) && ReferenceEquals(NullRow, other.NullRow);

    /// <inheritdoc />
    public override int GetHashCode() => HashCode.Combine(Rule.Name, Options, Order);

    // The record's own text would go into Expected, which has one itself.
    /// <inheritdoc />
    public override string ToString() => $"PoolRuns {{ Rule = {Rule.Name}, {Options}, Order = {Order} }}";

    // Records of tensors compare their values; the same layers are the same predictor.
    private static bool IsSame(IBoundaryPredictor mine, IBoundaryPredictor other) => (mine, other) switch
    {
        (MlpBoundaryPredictor left, MlpBoundaryPredictor right) => ReferenceEquals(left.In, right.In) && ReferenceEquals(left.Out, right.Out),
        (CosineBoundaryPredictor left, CosineBoundaryPredictor right) =>
            ReferenceEquals(left.Query, right.Query) && ReferenceEquals(left.Key, right.Key) && (left.Mode, left.NormEpsilon) == (right.Mode, right.NormEpsilon),
        (NoBoundaryPredictor left, NoBoundaryPredictor right) => left.PerToken == right.PerToken,
        _ => ReferenceEquals(mine, other),
    };

    private static Tensor Natural(TokenBatch stream) =>
        torch.arange(stream.Length, torch.ScalarType.Int64, stream.Tokens.device).expand(stream.Images, -1);

    // Positions of the first patch of every run [S,B]; those of padding say nothing.
    private static Tensor Starts(TokenBatch stream, Segments segments)
    {
        var first = stream.Layout.ProtectedTokens;
        var starts = (segments.Sizes.cumsum(0) - segments.Sizes).clamp(max: segments.Index.shape[0] - 1);
        return (stream.Positions ?? Natural(stream)).narrow(1, first, segments.Index.shape[0]).transpose(0, 1).gather(0, starts);
    }

    private static TokenBatch WithAside(TokenBatch stream, TokenBatch pooled, Segments segments, Tensor nullRow)
    {
        if (stream.Layout.ProtectedTokens > 0)
        {
            throw new UserException("Pooled tokens cannot be read back in a stream with class or register tokens; use a tower without them.");
        }

        var newest = segments.Boundaries.to(torch.ScalarType.Int64).cumsum(1);
        var result = pooled.Insert(0, nullRow, pooled.Layout with { RegisterTokens = 1 });
        return result with { Aside = new(stream with { Tokens = stream.Tokens.alias() }, newest, result.Length) };
    }
}

/// <summary>
/// Seam 1: every patch that pooling has set aside reads the newest pooled token that was closed by then, and adds it to itself. Pooled tokens end here.
/// </summary>
public sealed record ReadPooled : ITokenStage
{
    /// <inheritdoc />
    /// <exception cref="UserException">Nothing was set aside, or pooled tokens were removed since.</exception>
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        var (stream, rows, length) = batch.Aside
            ?? throw new UserException($"Before block {context.Block} pooled tokens are to be read back, but nothing was pooled before.");
        return batch.Length == length
            ? TensorScope.Run(() => stream with { Tokens = stream.Tokens + TokenRows.Take(batch.Tokens, rows) })
            : throw new UserException(
                $"Before block {context.Block} pooled tokens are read back, but {length - batch.Length} of them were deleted or merged since: leave out deletion and merging between the two.");
    }
}

/// <summary>A pooled stream, and how it was pooled.</summary>
/// <param name="Stream">The stream.</param>
/// <param name="Pooling">Boundaries, segments and loss.</param>
public sealed record PooledBatch(TokenBatch Stream, PooledTokens Pooling) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => [.. Stream.Tensors, .. Pooling.Tensors];
}
