using RegCache.Lab.Encoders;

namespace RegCache.Lab.Evaluation;

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
        var heads = Activations.Of(tower, images, block, ActivationKind.AttentionProbabilities).mean([1]);
        var queries = query is { } position ? heads.select(1, position) : heads.mean([1]);
        var special = tower.Config.ClassTokens;
        var patches = queries.narrow(1, special, queries.shape[1] - special).contiguous();
        return new(block, tower.Config.Grid.Width, [.. patches.data<float>().ToArray().Chunk((int)patches.shape[1])]);
    }

    /// <summary>The share of attention that goes to outlier patches, as a mean over images.</summary>
    /// <param name="norms">The norms by which patches of the same images are outliers.</param>
    public double ShareOfOutliers(PatchNorms norms) => Maps.Select((map, image) =>
        norms.Outliers(image).Zip(map, (isOutlier, attention) => isOutlier ? attention : 0.0).Sum()).Average();
}
