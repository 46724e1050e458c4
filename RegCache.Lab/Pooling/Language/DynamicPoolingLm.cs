using RegCache.Lab.Encoders;

namespace RegCache.Lab.Pooling.Language;

/// <summary>What the language model reads.</summary>
/// <param name="Data">Characters [T,B], int64.</param>
public sealed record LmInput(Tensor Data)
{
    /// <summary>The characters that follow the last T' ones [T',B]; those before them are context. Null scores nothing and returns all predictions.</summary>
    public Tensor? Target { get; init; }

    /// <summary>Boundaries that the text says [T,B], bool; for types that need them.</summary>
    public Tensor? Boundaries { get; init; }

    /// <summary>Uniform numbers [B,T] by which boundaries are drawn; null: they are not drawn, as in evaluation.</summary>
    public Tensor? Noise { get; init; }

    /// <summary>What training drops.</summary>
    public DropoutRates Dropout { get; init; } = DropoutRates.None;

    /// <summary>In training, what the rows pass that enter a layer, such as <see cref="Distributed.GradientAverage.Mark"/>; null leaves them.</summary>
    public Func<Tensor, Tensor>? Mark { get; init; }
}

/// <summary>What the language model says.</summary>
/// <param name="Logits">Predictions of the scored positions [T',B,V].</param>
/// <param name="Loss">Cross entropy of every position in nats [T',B]; null without a target.</param>
/// <param name="BoundaryLoss">The loss of the boundaries, []; zero without a predictor or a target.</param>
public sealed record LmOutput(Tensor Logits, Tensor? Loss, Tensor BoundaryLoss) : ITensorHolder, IDisposable
{
    /// <summary>The boundaries [B,T] of all positions, bool; null where nothing is pooled.</summary>
    public Tensor? Boundaries { get; init; }

    /// <summary>Probabilities or drawn values behind predicted boundaries [B,T].</summary>
    public Tensor? Soft { get; init; }

    /// <summary>What predicted boundaries are compared with [B,T'], bool.</summary>
    public Tensor? Reference { get; init; }

    /// <summary>Rows of the pooled sequence, the null row included; 0 where nothing is pooled.</summary>
    public long PooledLength { get; init; }

    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => new[] { Logits, Loss, BoundaryLoss, Boundaries, Soft, Reference }.OfType<Tensor>();

    /// <summary>How well predicted boundaries agree with the reference on the scored positions; null without a predictor or a target.</summary>
    public BoundaryMatch? Match() => Reference is null ? null : TensorScope.Run(() =>
        BoundaryMatch.Of(Boundaries!.narrow(1, Boundaries.shape[1] - Reference.shape[1], Reference.shape[1]), Reference));

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var tensor in Tensors)
        {
            tensor.Dispose();
        }
    }
}

/// <summary>
/// A character language model that pools runs of characters between boundaries, works on the pooled sequence, and hands every character the newest
/// pooled row that it may see (Nawrot, Chorowski, Lancucki and Ponti 2023, "Efficient Transformers with Dynamic Token Pooling", arXiv:2211.09761;
/// docs/methods/dynamic-pooling.md). Tensors have the names of the authors' checkpoints.
/// </summary>
public sealed class DynamicPoolingLm : IDisposable
{
    internal const string Frequencies = "pos_emb.inv_freq";
    private const double NormEpsilon = 1e-5;

    private readonly Tensor _embedding, _frequencies, _contentBias, _positionBias;
    private readonly Tensor? _nullRow;
    private readonly RelativeLayer[][] _stacks;
    private readonly LayerNorm? _pooledNorm;
    private readonly MlpBoundaryPredictor? _predictor;
    private readonly Linear _output;

    /// <summary>Builds the model on its tensors, which it owns from now on.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="weights">The tensors.</param>
    /// <exception cref="UserException">The configuration is impossible; a tensor is missing, superfluous, of another shape, or not finite.</exception>
    public DynamicPoolingLm(DynamicPoolingConfig config, WeightTable weights)
    {
        Config = config.Validated();
        Weights = weights;
        var shapes = config.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        if (weights.Names.FirstOrDefault(name => !shapes.ContainsKey(name)) is { } unknown)
        {
            throw new UserException(
                $"{weights.Source} has a tensor `{unknown}` that a model of {string.Join(" + ", config.Stacks)} layers with boundaries of type {config.Boundaries} "
                + "has not; use the configuration that belongs to these weights.");
        }

        Tensor Take(string name) => weights.Take(name, shapes[name]);
        _embedding = Take("word_emb.weight");
        _frequencies = Take(Frequencies);
        (_contentBias, _positionBias) = (Take("r_w_bias"), Take("r_r_bias"));
        _stacks =
        [
            .. config.Stacks.Select((layers, stack) => Enumerable.Range(0, layers)
                .Select(layer => RelativeLayer.From(weights, $"layers.{stack}.{layer}.", config.Width, config.Heads, config.HeadWidth, config.Inner)).ToArray()),
        ];
        if (config.Type.Pools)
        {
            _nullRow = Take("null_group");
            _pooledNorm = new(Take("down_ln.weight"), Take("down_ln.bias"), NormEpsilon);
        }

        _predictor = config.Type.Learn is null ? null : MlpBoundaryPredictor.From(weights, "boundary_predictor.boundary_predictor", config.Width, config.Inner);
        _output = new(Take("final_cast.weight"), Take("final_cast.bias"));
    }

    /// <summary>The architecture.</summary>
    public DynamicPoolingConfig Config { get; }

    /// <summary>The tensors.</summary>
    public WeightTable Weights { get; }

    /// <summary>A model with random weights: matrices, biases of attention and gains of norms around their centres by 0.02, the null row N(0, 1).</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="seed">The seed.</param>
    public static DynamicPoolingLm Initialize(DynamicPoolingConfig config, long seed)
    {
        const long purpose = 602;
        const float deviation = 0.02f;
        var tensors = config.Validated().Tensors.Select((tensor, index) => KeyValuePair.Create(tensor.Name, Draw(tensor.Name, tensor.Shape, index)));
        return new(config, new WeightTable("random weights", tensors));

        Tensor Draw(string name, long[] shape, int index)
        {
            if (name == Frequencies)
            {
                return RelativeScores.Frequencies(config.Width);
            }

            var isNorm = name.Contains("layer_norm.", StringComparison.Ordinal) || name.StartsWith("down_ln.", StringComparison.Ordinal);
            var values = new float[shape.Aggregate(1L, (product, size) => product * size)];
            if (!name.EndsWith(".bias", StringComparison.Ordinal))
            {
                CounterRandom.Of(seed, purpose, index).FillNormal(values, name == "null_group" ? 1 : deviation);
            }

            if (isNorm && name.EndsWith(".weight", StringComparison.Ordinal))
            {
                foreach (ref var value in values.AsSpan())
                {
                    value += 1;
                }
            }

            return torch.tensor(values, shape);
        }
    }

    /// <summary>Marks everything that is trained.</summary>
    public void RequireGradients()
    {
        foreach (var name in Weights.Names.Where(name => name != Frequencies))
        {
            Weights[name].requires_grad = true;
        }
    }

    /// <summary>Predicts the characters that follow.</summary>
    /// <exception cref="UserException">Boundaries of the text are missing that the type needs.</exception>
    public LmOutput Forward(LmInput input) => TensorScope.Run(() =>
    {
        var embedded = _embedding.index_select(0, input.Data.flatten()).view(input.Data.shape[0], input.Data.shape[1], -1);
        var hidden = DropoutRates.Apply(embedded, input.Dropout.Hidden);
        hidden = Run(hidden, 0, input);
        var given = input.Boundaries?.transpose(0, 1).contiguous();
        BoundaryScores? scores = null;
        BoundaryDecision? decision = null;
        Segments? segments = null;
        Tensor? values = null;
        var pooledLength = 0L;
        if (Config.Type.Pools)
        {
            scores = _predictor?.Score(hidden);
            decision = scores is null ? null
                : Config.Type.IsDrawn ? BoundaryDecisions.Gumbel(scores.Logits, input.Noise, Config.Temperature)
                : BoundaryDecisions.Threshold(scores.Probabilities);
            segments = Segments.Of(decision?.Hard ?? given
                ?? throw new UserException($"Boundaries of type {Config.Boundaries} come from the text, and none are given."));
            values = decision is not null && Config.Type.IsDrawn ? decision.StraightThrough() : null;
            var pooled = _pooledNorm!.Apply(SegmentPooling.Down(hidden, values, segments, _nullRow!));
            pooledLength = pooled.shape[0];
            hidden = Run(SegmentPooling.Up(Run(pooled, 1, input), segments) + hidden, 2, input);
        }

        var scored = input.Target?.shape[0] ?? hidden.shape[0];
        var logits = _output.Apply(hidden.narrow(0, hidden.shape[0] - scored, scored));
        var loss = input.Target is null ? null : torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), input.Target.flatten(), reduction: torch.nn.Reduction.None).view(input.Target.shape);
        Tensor Last(Tensor rows) => rows.narrow(1, rows.shape[1] - scored, scored);
        var (boundaryLoss, reference) = scores is null || input.Target is null
            ? (torch.zeros([], torch.ScalarType.Float32, hidden.device), null)
            : Config.Type.Learn!(new(
                Config,
                new(Last(scores.Logits), Last(scores.Probabilities)),
                Last(values ?? decision!.Hard.to(torch.ScalarType.Float32)),
                logits,
                input.Data.narrow(0, input.Data.shape[0] - scored, scored),
                given is null ? null : Last(given)));
        return new LmOutput(logits, loss, boundaryLoss)
        {
            Boundaries = segments?.Boundaries, Soft = decision?.Soft, Reference = reference, PooledLength = pooledLength,
        };
    });

    /// <inheritdoc />
    public void Dispose() => Weights.Dispose();

    // Every stack counts distances from its own beginning, in characters or in rows.
    private Tensor Run(Tensor hidden, int stack, LmInput input)
    {
        if (_stacks[stack].Length == 0)
        {
            return hidden;
        }

        return TensorScope.Run(() =>
        {
            var context = RelativeContext.Of(_frequencies, _contentBias, _positionBias, hidden.shape[0], RelativeDirection.Causal, dropout: input.Dropout);
            return _stacks[stack].Aggregate(hidden, (rows, layer) => layer.Apply(input.Mark?.Invoke(rows) ?? rows, context));
        });
    }
}
