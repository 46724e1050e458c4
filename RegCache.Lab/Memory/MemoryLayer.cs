using RegCache.Lab.Encoders;

namespace RegCache.Lab.Memory;

/// <summary>
/// A product-key memory in the MLP slot (Lample et al. 2019, arXiv:1907.05242, section 3; Berges et al. 2024, arXiv:2412.09764, section 2):
/// every head compares the two halves of its query with n sub-keys each, takes the k best of the n^2 pairs, and reads their values weighted
/// by the softmax of their scores. Heads are summed (docs/methods/memory.md).
/// </summary>
/// <param name="Config">Sizes and variants.</param>
/// <param name="Keys">Sub-keys [2 H n, K/2]: of each head those of the first half, then those of the second.</param>
/// <param name="Table">What the slots hold; layers that share it hold one object.</param>
/// <param name="In">All that is projected from a token: queries [H K], the SiLU gate [V], the scalar gate [1], in this order.</param>
/// <param name="Out">Brings what was read to the tower's width; null where it has it.</param>
public sealed record MemoryLayer(MemoryConfig Config, Tensor Keys, IMemoryTable Table, ILinear In, ILinear? Out) : IMlp
{
    // Experts look at the token itself, as it was before a quantizer's norm rescaled it.
    private Func<Tensor, Tensor>? Undo { get; init; }

    /// <inheritdoc />
    public bool IsRowwise => In.IsRowwise && Out is null or { IsRowwise: true };

    /// <inheritdoc />
    public IMlp With(ILinear into, ILinear? outOf) => this with { In = into, Out = outOf };

    /// <inheritdoc />
    public IMlp Behind(Func<Tensor, Tensor> undo) => this with { Undo = undo };

    /// <inheritdoc />
    public Tensor Apply(Tensor input, BlockProbe probe) => TensorScope.Run(() =>
    {
        var projected = PartsToFold(probe) is { } parts ? Fold(input, parts) : Project(input, probe);
        var (slots, scores) = Select(projected.Scores);
        var weights = scores.softmax(-1);
        long[] shape = [.. input.shape[..^1], Config.Heads, Config.Neighbours];
        probe.Observe(ActivationKind.MemorySlots, slots.view(shape));
        probe.Observe(ActivationKind.MemoryWeights, weights.view(shape));

        var tokens = Config.Experts && Undo is not null ? Undo(input) : input;
        var read = Table.Read(tokens.reshape(-1, input.shape[^1]), slots.flatten(1), weights.flatten(1));
        var value = read.to(projected.Type).view([.. input.shape[..^1], -1]);
        if (projected.SiluGate is { } gate)
        {
            value = value * torch.nn.functional.silu(gate);
        }

        probe.Observe(ActivationKind.MlpHidden, value);
        var output = Out?.Apply(value) ?? value;
        return projected.ScalarGate is { } scalar ? output * scalar.sigmoid() : output;
    });

    private Tensor KeysByHalf => Keys.to(torch.ScalarType.Float32).view(2 * Config.Heads, Config.SubKeys, -1);

    private Projection Project(Tensor input, BlockProbe probe)
    {
        var projected = In.Apply(input);
        probe.Observe(ActivationKind.MlpIn, projected);
        var queries = Config.Heads * Config.KeyWidth;
        var halves = projected.narrow(-1, 0, queries).reshape(-1, 2 * Config.Heads, Config.KeyWidth / 2).to(torch.ScalarType.Float32).transpose(0, 1);
        return new(
            halves.bmm(KeysByHalf.transpose(1, 2)).transpose(0, 1),
            Config.HasSiluGate ? projected.narrow(-1, queries, projected.shape[^1] - queries - (Config.ScalarGate ? 1 : 0)) : null,
            Config.ScalarGate ? projected.narrow(-1, projected.shape[^1] - 1, 1) : null,
            projected.dtype);
    }

    // Queries serve for their products with the keys alone, so keys and projection are one matrix: c (W x + b) = (c W) x + c b. That takes
    // fewer multiplications where a query has more channels than there are sub-keys. Nobody may want to see or to change the queries. A layer
    // in training never folds, lest the two passes of gradient checkpointing round differently and read other slots.
    private ValueList<Linear>? PartsToFold(BlockProbe probe)
    {
        ValueList<Linear>? parts = In switch
        {
            JoinedLinear joined => joined.Parts,
            Linear single => [single],
            _ => null,
        };
        return 2 * Config.SubKeys < Config.KeyWidth
            && !torch.is_grad_enabled()
            && !Keys.requires_grad
            && !probe.Wants(ActivationKind.MlpIn)
            && parts?[0].Weight is { dtype: torch.ScalarType.Float32, requires_grad: false } ? parts : null;
    }

    private Projection Fold(Tensor input, ValueList<Linear> parts)
    {
        var (keys, query) = (KeysByHalf, parts[0]);
        var weight = keys.bmm(query.Weight.view(keys.shape[0], keys.shape[2], -1)).flatten(0, 1);
        var bias = keys.bmm(query.Bias!.view(keys.shape[0], keys.shape[2], 1)).flatten();
        return new(
            torch.nn.functional.linear(input, weight, bias).view(-1, keys.shape[0], keys.shape[1]),
            Config.HasSiluGate ? parts[1].Apply(input) : null,
            Config.ScalarGate ? parts[^1].Apply(input) : null,
            input.dtype);
    }

    // The k best of the n^2 sums of two scores are among the pairs of the k best of either half.
    private (Tensor Slots, Tensor Scores) Select(Tensor halfScores)
    {
        var (heads, count, best) = (Config.Heads, Config.SubKeys, Config.Neighbours);
        var (bestScores, bestKeys) = halfScores.topk(best);
        Tensor Half(Tensor of, int half) => of.reshape(-1, heads, 2, best).select(2, half);
        var pairs = Half(bestScores, 0).unsqueeze(-1) + Half(bestScores, 1).unsqueeze(-2);
        var (scores, positions) = pairs.flatten(2).topk(best);
        var first = Half(bestKeys, 0).gather(-1, positions.floor_divide(best));
        var second = Half(bestKeys, 1).gather(-1, positions.remainder(best));
        return ((first * count) + second, scores);
    }

    /// <summary>What is projected from the tokens.</summary>
    /// <param name="Scores">Scores of the sub-keys [M,2H,n], float32.</param>
    /// <param name="SiluGate">[..,V], or null.</param>
    /// <param name="ScalarGate">[..,1], or null.</param>
    /// <param name="Type">The type in which the layer goes on.</param>
    private readonly record struct Projection(Tensor Scores, Tensor? SiluGate, Tensor? ScalarGate, torch.ScalarType Type);
}

/// <summary>Builds the memory layers of a tower.</summary>
internal static class MemoryLayers
{
    /// <summary>The layers by block, on the tensors of a model. Where the table is shared, all of its names become one tensor.</summary>
    /// <param name="vision">The tower's architecture.</param>
    /// <param name="weights">The named tensors.</param>
    /// <exception cref="UserException">A tensor is missing, has a wrong shape or is not finite, or the copies of a shared table differ.</exception>
    public static IReadOnlyDictionary<int, MemoryLayer> Build(VisionConfig vision, WeightTable weights)
    {
        var layers = new Dictionary<int, MemoryLayer>();
        if (vision.Memory is not { } config)
        {
            return layers;
        }

        IMemoryTable? shared = null;
        foreach (var block in config.Blocks)
        {
            var slot = MemoryNames.Slot(block);
            var shapes = config.Parameters(vision.Width, block).ToDictionary(parameter => parameter.Name, parameter => parameter.Shape);
            Tensor Take(string name) => weights.Take(slot + name, shapes[name]);
            Linear Linear(string name) => new(Take($"{name}.weight"), Take($"{name}.bias"));
            if (config.ShareValues && shared is not null)
            {
                foreach (var name in shapes.Keys.Where(name => MemoryNames.IsTable(slot + name)))
                {
                    weights.Unite(slot + name, MemoryNames.Slot(config.Blocks[0]) + name);
                }
            }

            shared = config.ShareValues && shared is not null ? shared
                : config.Experts ? new ExpertTable(Take(MemoryNames.ExpertsIn), Take(MemoryNames.ExpertsOut))
                : new ValueTable(Take(MemoryNames.Values));
            layers[block] = new(
                config,
                Take(MemoryNames.Keys),
                shared,
                JoinedLinear.Of(
                [
                    Linear(MemoryNames.Query),
                    .. config.HasSiluGate ? new[] { Linear(MemoryNames.SiluGate) } : [],
                    .. config.ScalarGate ? new[] { Linear(MemoryNames.ScalarGate) } : [],
                ]),
                config.HasProjection ? Linear(MemoryNames.Projection) : null);
        }

        return layers;
    }
}
