namespace RegCache.Lab.Pooling;

/// <summary>Where boundaries are, and how sure the predictor was.</summary>
/// <param name="Soft">What was compared with the threshold [B,T], float32, with gradient.</param>
/// <param name="Hard">The boundaries [B,T], bool.</param>
public sealed record BoundaryDecision(Tensor Soft, Tensor Hard) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => [Soft, Hard];

    /// <summary>
    /// Straight-through values [B,T]: exactly 0 or 1 forwards, the soft values' identity backwards (Bengio et al. 2013, arXiv:1308.3432).
    /// </summary>
    public Tensor StraightThrough() => TensorScope.Run(() => Hard.to(Soft.dtype) + (Soft - Soft.detach()));
}

/// <summary>Turns scores into boundaries.</summary>
public static class BoundaryDecisions
{
    // float32's machine epsilon: probabilities and noise stay within [eps, 1 - eps], logits within the same range.
    internal const double Epsilon = 1.1920929e-7;
    internal static readonly double MostLogit = Math.Log((1 - Epsilon) / Epsilon);

    /// <summary>
    /// The hard Gumbel-sigmoid: <c>soft = sigmoid((z + ln u - ln(1 - u)) / tau)</c>, a boundary where it exceeds the threshold (Nawrot et al. 2023,
    /// arXiv:2211.09761). Computed in float32 from the logits.
    /// </summary>
    /// <param name="logits">Scores z [B,T].</param>
    /// <param name="noise">Uniform numbers u between 0 and 1 [B,T]; null: no noise, as u = 0.5, for evaluation.</param>
    /// <param name="temperature">The temperature tau, above 0.</param>
    /// <param name="threshold">The threshold, between 0 and 1.</param>
    public static BoundaryDecision Gumbel(Tensor logits, Tensor? noise, double temperature, double threshold = 0.5) => TensorScope.Run(() =>
    {
        var scores = logits.to(torch.ScalarType.Float32).clamp(-MostLogit, MostLogit);
        if (noise is not null)
        {
            var uniform = noise.to(torch.ScalarType.Float32).clamp(Epsilon, 1 - Epsilon);
            scores = scores + (uniform.log() - (1 - uniform).log());
        }

        var soft = (scores / temperature).sigmoid();
        return new BoundaryDecision(soft, soft.greater(threshold));
    });

    /// <summary>A boundary where the probability exceeds the threshold.</summary>
    /// <param name="probabilities">Probabilities [B,T].</param>
    /// <param name="threshold">The threshold.</param>
    /// <param name="inclusive">Whether the threshold itself is a boundary.</param>
    public static BoundaryDecision Threshold(Tensor probabilities, double threshold = 0.5, bool inclusive = false) => TensorScope.Run(() =>
        new BoundaryDecision(probabilities, inclusive ? probabilities.greater_equal(threshold) : probabilities.greater(threshold)));

    /// <summary>
    /// The k most probable positions of every sample, k = T rate rounded half to even, at least 1; of equal ones the earlier. With
    /// <paramref name="exactBudget"/> the last position is always one of the k, so that forcing it adds none.
    /// </summary>
    /// <param name="probabilities">Probabilities [B,T].</param>
    /// <param name="rate">The wanted share of boundaries, above 0, at most 1.</param>
    /// <param name="exactBudget">Whether the last position counts.</param>
    public static BoundaryDecision TopK(Tensor probabilities, double rate, bool exactBudget = false) => TopK(new BoundaryScores(probabilities, probabilities), rate, exactBudget);

    /// <summary>The same where samples may have fewer positions than others: each has its own k.</summary>
    /// <param name="of">The scores, of which the probabilities count.</param>
    /// <param name="rate">The wanted share of boundaries, above 0, at most 1.</param>
    /// <param name="exactBudget">Whether the last position counts.</param>
    public static BoundaryDecision TopK(BoundaryScores of, double rate, bool exactBudget = false) => TensorScope.Run(() =>
    {
        var probabilities = of.Probabilities;
        var scores = of.Valid is null ? probabilities.detach() : probabilities.detach().masked_fill(of.Valid.logical_not(), float.NegativeInfinity);
        scores = exactBudget ? scores.masked_fill(Last(of), float.PositiveInfinity) : scores;
        var (_, order) = scores.sort(1, descending: true, stable: true);
        var counts = torch.tensor([.. of.Lengths().Select(length => Count(length, rate))], device: scores.device).unsqueeze(1);
        var isChosen = torch.arange(scores.shape[1], device: scores.device).unsqueeze(0).less(counts);
        return new BoundaryDecision(probabilities, torch.zeros_like(isChosen).scatter(1, order, isChosen));
    });

    /// <summary>Marks the last position of every sample [B,T], bool.</summary>
    internal static Tensor Last(BoundaryScores scores) => TensorScope.Run(() =>
    {
        var shape = scores.Probabilities.shape;
        var valid = scores.Valid ?? torch.ones(shape, torch.ScalarType.Bool, scores.Probabilities.device);
        var next = torch.cat([valid.narrow(1, 1, shape[1] - 1), torch.zeros([shape[0], 1], torch.ScalarType.Bool, valid.device)], 1);
        return valid.logical_and(next.logical_not());
    });

    /// <summary>
    /// Probabilities of groups of positions that become one token, such as the four patches that a vision-language model merges: their mean or their
    /// largest, [B,T] to [B,T/n].
    /// </summary>
    /// <param name="probabilities">Probabilities [B,T].</param>
    /// <param name="group">Positions n of a group, which divide T.</param>
    /// <param name="largest">Whether the largest of a group counts; else their mean.</param>
    public static Tensor OfGroups(Tensor probabilities, int group, bool largest)
    {
        var groups = probabilities.view(probabilities.shape[0], -1, group);
        return largest ? groups.amax([2]) : groups.mean([2]);
    }

    /// <summary>The number of boundaries that <see cref="TopK(Tensor, double, bool)"/> takes of <paramref name="length"/> positions.</summary>
    public static long Count(long length, double rate) => Math.Clamp((long)Math.Round(length * rate, MidpointRounding.ToEven), 1, length);

    /// <summary>
    /// Evenly spread positions, m = max(1, floor(T rate)) of them from the first to the last; one alone is the last, so that nothing is dropped.
    /// </summary>
    /// <param name="length">Number of positions T.</param>
    /// <param name="rate">The wanted share of boundaries.</param>
    /// <param name="closeTail">Whether a single boundary is the last position, not the first.</param>
    /// <returns>The positions, ascending.</returns>
    public static long[] Spread(long length, double rate, bool closeTail = true)
    {
        var count = Math.Max(1, (long)Math.Floor(length * rate));
        if (count == 1)
        {
            return [closeTail ? length - 1 : 0];
        }

        // float32's steps decide which way halves go, as in torch.linspace, which counts from the nearer end.
        var step = (length - 1f) / (count - 1);
        return [.. Enumerable.Range(0, (int)count).Select(index =>
            (long)MathF.Round(index < count / 2 ? step * index : length - 1f - (step * (count - index - 1)), MidpointRounding.ToEven))];
    }
}

/// <summary>Uniform numbers for <see cref="BoundaryDecisions.Gumbel"/>, as a function of seed and step, so that a resumed training draws the same.</summary>
public static class BoundaryNoise
{
    private const long Purpose = 601;

    /// <summary>Draws numbers between 0 and 1 [B,T].</summary>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="step">The step.</param>
    /// <param name="batch">Samples B.</param>
    /// <param name="length">Positions T.</param>
    public static Tensor Draw(long seed, long step, long batch, long length)
    {
        var random = CounterRandom.Of(seed, Purpose, step);
        var values = new float[batch * length];
        foreach (ref var value in values.AsSpan())
        {
            value = (float)random.NextUnit();
        }

        return torch.tensor(values, [batch, length]);
    }
}
