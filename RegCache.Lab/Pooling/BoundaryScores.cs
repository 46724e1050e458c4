using RegCache.Lab.Encoders;

namespace RegCache.Lab.Pooling;

/// <summary>Scores of boundaries.</summary>
/// <param name="Logits">Logits [B,T].</param>
/// <param name="Probabilities">Probabilities [B,T], float32.</param>
public sealed record BoundaryScores(Tensor Logits, Tensor Probabilities) : ITensorHolder
{
    /// <summary>Which positions hold a token [B,T], bool: the others are padding and are no boundaries. Null: all do.</summary>
    public Tensor? Valid { get; init; }

    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => Valid is null ? [Logits, Probabilities] : [Logits, Probabilities, Valid];

    /// <summary>Positions with a token in every sample.</summary>
    public long[] Lengths()
    {
        var (batch, length) = (Probabilities.shape[0], Probabilities.shape[1]);
        using var counts = Valid?.sum(1).cpu();
        return counts?.data<long>().ToArray() ?? [.. Enumerable.Repeat(length, (int)batch)];
    }
}

/// <summary>How likely a boundary is at every position.</summary>
public interface IBoundaryPredictor
{
    /// <summary>Scores tokens [T,B,C].</summary>
    BoundaryScores Score(Tensor hidden);

    /// <summary>Multiply-accumulates of scoring a sample.</summary>
    /// <param name="tokens">Its tokens T.</param>
    /// <param name="width">Their channels C.</param>
    long Macs(long tokens, long width);
}

/// <summary>Finds no position likelier than another: for boundaries that do not depend on tokens.</summary>
/// <param name="PerToken">Multiply-accumulates that it stands for, for every token.</param>
public sealed record NoBoundaryPredictor(long PerToken = 0) : IBoundaryPredictor
{
    /// <inheritdoc />
    public BoundaryScores Score(Tensor hidden)
    {
        var none = torch.zeros([hidden.shape[1], hidden.shape[0]], torch.ScalarType.Float32, hidden.device);
        return new(none, none);
    }

    /// <inheritdoc />
    public long Macs(long tokens, long width) => tokens * PerToken;
}

/// <summary>
/// An MLP on the token itself: <c>z = W2 GELU(W1 h + b1) + b2</c>, p = sigmoid(z) (Nawrot et al. 2023, arXiv:2211.09761).
/// </summary>
/// <param name="In">First linear layer [D',C].</param>
/// <param name="Out">Second linear layer [1,D'].</param>
public sealed record MlpBoundaryPredictor(ILinear In, ILinear Out) : IBoundaryPredictor
{
    /// <summary>Takes the tensors <c>NAME.0.*</c> and <c>NAME.2.*</c>.</summary>
    /// <param name="weights">The model's tensors.</param>
    /// <param name="name">Their common name, with <c>boundary_predictor</c> at its end.</param>
    /// <param name="width">Channels C.</param>
    /// <param name="inner">Hidden channels D'.</param>
    /// <exception cref="UserException">A tensor is missing or of another shape.</exception>
    public static MlpBoundaryPredictor From(WeightTable weights, string name, int width, int inner) => new(
        new Linear(weights.Take($"{name}.0.weight", inner, width), weights.Take($"{name}.0.bias", inner)),
        new Linear(weights.Take($"{name}.2.weight", 1, inner), weights.Take($"{name}.2.bias", 1)));

    /// <inheritdoc />
    public BoundaryScores Score(Tensor hidden) => TensorScope.Run(() =>
    {
        var logits = Out.Apply(torch.nn.functional.gelu(In.Apply(hidden))).squeeze(-1).transpose(0, 1).to(torch.ScalarType.Float32);
        return new BoundaryScores(logits, logits.sigmoid());
    });

    /// <inheritdoc />
    public long Macs(long tokens, long width) => PoolingMacs.Predictor(tokens, width, In.Weight.shape[0]);
}

/// <summary>
/// How different neighbours are: <c>p = (1 - cos(Wq h_t, Wk h_{t+1})) / 2</c> (Hwang, Wang and Gu 2025, "H-Net", arXiv:2507.07955). The
/// position without a neighbour is a boundary for certain.
/// </summary>
/// <param name="Query">Wq [C,C]; null: the identity, which needs no training.</param>
/// <param name="Key">Wk [C,C]; null: the identity.</param>
/// <param name="Mode">Whether p belongs to t, whose segment it closes, or to t + 1, which opens one.</param>
/// <param name="NormEpsilon">Least norm that vectors are divided by.</param>
public sealed record CosineBoundaryPredictor(ILinear? Query, ILinear? Key, BoundaryMode Mode, double NormEpsilon = 1e-6) : IBoundaryPredictor
{
    /// <inheritdoc />
    public BoundaryScores Score(Tensor hidden) => TensorScope.Run(() =>
    {
        var (tokens, batch) = (hidden.shape[0], hidden.shape[1]);
        static Tensor Project(ILinear? layer, Tensor rows) => layer?.Apply(rows) ?? rows;
        var query = Unit(Project(Query, hidden.narrow(0, 0, tokens - 1)));
        var key = Unit(Project(Key, hidden.narrow(0, 1, tokens - 1)));
        var cosine = (query * key).sum(-1).clamp(-1, 1).transpose(0, 1);
        var change = ((1 - cosine) * 0.5).clamp(0, 1);
        var certain = torch.ones([batch, 1], torch.ScalarType.Float32, hidden.device);
        var probabilities = torch.cat(Mode == BoundaryMode.Closes ? [change, certain] : [certain, change], 1);
        var inside = probabilities.clamp(BoundaryDecisions.Epsilon, 1 - BoundaryDecisions.Epsilon);
        return new BoundaryScores(inside.log() - (1 - inside).log(), probabilities);
    });

    /// <inheritdoc />
    public long Macs(long tokens, long width) => (tokens - 1) * width * (1 + ((Query is null ? 0 : width) + (Key is null ? 0 : width)));

    private Tensor Unit(Tensor vectors)
    {
        var wide = vectors.to(torch.ScalarType.Float32);
        return wide / wide.square().sum(-1, keepdim: true).sqrt().clamp(min: NormEpsilon);
    }
}
