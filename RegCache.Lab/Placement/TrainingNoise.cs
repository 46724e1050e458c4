using RegCache.Lab.Encoders;

namespace RegCache.Lab.Placement;

/// <summary>
/// What training does to a block at random: stochastic depth (Huang et al. 2016, arXiv:1603.09382) with one rate for all blocks, and dropout
/// of attention probabilities. One stream of random numbers makes the same noise again, so that a training that was killed goes on with the
/// same weights.
/// </summary>
/// <param name="config">The rates.</param>
/// <param name="images">Images of the batch B.</param>
/// <param name="random">The stream of this pass.</param>
internal sealed class TrainingNoise(PlacementConfig config, long images, CounterRandom random)
{
    private const long ClassFeature = -1;

    // Places inside a block that draw for themselves.
    private enum Place
    {
        AttentionBranch,
        MlpBranch,
        Probabilities,
        Count,
    }

    /// <summary>The layers of a block with this pass's noise.</summary>
    /// <param name="block">The block, 0-based.</param>
    /// <param name="plain">Its plain layers, which tell the branches apart.</param>
    /// <param name="running">The layers that run, for example in another precision.</param>
    public BlockLayers Disturb(int block, BlockLayers plain, BlockLayers running)
    {
        if (config.DropPathRate > 0)
        {
            running = running
                .With(LinearKind.AttentionOut, layer => DropPath(layer, plain.AttentionOut, block, Place.AttentionBranch))
                .With(LinearKind.MlpOut, layer => DropPath(layer, plain.Mlp.Out!, block, Place.MlpBranch));
        }

        return config.AttentionDropRate == 0 ? running : running with
        {
            AttentionDropout = probabilities => Dropout(probabilities, config.AttentionDropRate, Stream(block, Place.Probabilities)),
        };
    }

    /// <summary>Drops channels of the class features [B,kC] before the heads.</summary>
    public Tensor Disturb(Tensor features) =>
        config.DropRate == 0 ? features : Dropout(features, config.DropRate, random.Fork(ClassFeature));

    private static Tensor Dropout(Tensor values, double rate, CounterRandom stream) => TensorScope.Run(() =>
    {
        using var generator = new torch.Generator(stream.NextBits(), values.device);
        var kept = torch.rand(values.shape, device: values.device, generator: generator).ge(rate).to(values.dtype);
        return values * kept * (1 / (1 - rate));
    });

    private CounterRandom Stream(int block, Place place) => random.Fork((block * (long)Place.Count) + (long)place);

    private DroppedBranches DropPath(ILinear layer, ILinear plain, int block, Place place)
    {
        var stream = Stream(block, place);
        var branches = plain as SummedLinear;
        var kept = new float[(branches?.Branches.Count ?? 1) * images];
        foreach (ref var factor in kept.AsSpan())
        {
            factor = stream.NextUnit() < config.DropPathRate ? 0 : (float)(1 / (1 - config.DropPathRate));
        }

        return new(layer, branches, kept);
    }

    /// <summary>The last layer of a branch, whose result some images do without and the others have more of.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="branches">The branches that it adds up; null for one.</param>
    /// <param name="kept">For every branch and image 0 or 1/(1-p), branches first.</param>
    private sealed class DroppedBranches(ILinear layer, SummedLinear? branches, float[] kept) : ILinear
    {
        public Tensor Weight => layer.Weight;

        public Tensor? Bias => layer.Bias;

        public bool IsRowwise => layer.IsRowwise;

        public Tensor Apply(Tensor input) => TensorScope.Run(() =>
        {
            var factors = torch.tensor(kept, [branches?.Branches.Count ?? 1, input.shape[0], 1, 1]).to(input.dtype, input.device);
            if (branches is null)
            {
                return layer.Apply(input) * factors[0];
            }

            // Each branch has its part of the input, and a bias that goes with it.
            var output = layer.Apply(torch.cat([.. input.chunk(branches.Branches.Count, -1).Select((part, index) => part * factors[index])], -1));
            return branches.Biases.Index().Aggregate(output, (sum, bias) => sum + ((factors[bias.Index] - 1) * bias.Item));
        });
    }
}
