using RegCache.Lab.Encoders;

namespace RegCache.Lab.Evaluation;

/// <summary>Single activations of the float encoder, to be looked at.</summary>
public static class Activations
{
    /// <summary>Runs the encoder up to a block and returns one activation of it.</summary>
    /// <param name="tower">The encoder.</param>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="block">The block, 0-based.</param>
    /// <param name="kind">Which activation of the block.</param>
    /// <returns>The activation, shaped as <see cref="ActivationKind"/> says, float32 on the CPU, which the caller disposes.</returns>
    public static Tensor Of(VisionTower tower, Tensor images, int block, ActivationKind kind)
    {
        var probe = new Probe(block, kind);
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var (device, type) = tower.Placement;
        tower.Forward(images.to(type, device), block + 1, probe);
        return probe.Value!;
    }

    private sealed class Probe(int wantedBlock, ActivationKind wantedKind) : IActivationProbe
    {
        public Tensor? Value { get; private set; }

        public bool Wants(int block, ActivationKind kind) => (block, kind) == (wantedBlock, wantedKind);

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            using var scope = torch.NewDisposeScope();
            Value = value.to(torch.ScalarType.Float32).cpu().clone().DetachFromDisposeScope();
        }
    }
}

/// <summary>The attention that the patches of some images receive in one block, as means over heads.</summary>
/// <param name="Block">The block, 0-based.</param>
/// <param name="Columns">Columns of the patch grid.</param>
/// <param name="Maps">For each image the attention on its patches, row-major; with that on the class token it sums to one.</param>
public sealed record AttentionMaps(int Block, int Columns, IReadOnlyList<IReadOnlyList<float>> Maps)
{
    /// <summary>Measures the float encoder.</summary>
    /// <param name="tower">The encoder.</param>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="block">The block, 0-based.</param>
    /// <param name="query">The position that attends, 0 for the class token; null for the mean of all.</param>
    public static AttentionMaps Measure(VisionTower tower, Tensor images, int block, int? query = null)
    {
        using var scope = torch.NewDisposeScope();
        using var probabilities = Activations.Of(tower, images, block, ActivationKind.AttentionProbabilities);
        var heads = probabilities.mean([1]);
        var queries = query is { } position ? heads.select(1, position) : heads.mean([1]);
        var special = tower.LayoutIn(block).ProtectedTokens;
        var patches = queries.narrow(1, special, queries.shape[1] - special).contiguous();
        return new(block, tower.Config.Grid.Width, [.. patches.data<float>().ToArray().Chunk((int)patches.shape[1])]);
    }

    /// <summary>The share of attention that goes to outlier patches, as a mean over images.</summary>
    /// <param name="norms">The norms by which patches of the same images are outliers.</param>
    public double ShareOfOutliers(PatchNorms norms) => Maps.Select((map, image) =>
        norms.Outliers(image).Zip(map, (isOutlier, attention) => isOutlier ? attention : 0.0).Sum()).Average();
}
