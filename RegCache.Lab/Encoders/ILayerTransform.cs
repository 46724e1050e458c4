namespace RegCache.Lab.Encoders;

/// <summary>
/// How a plan wants layers to run: a function from plain layers to layers, for example a quantizer. Transforms are
/// records or compare by identity, so that plans with equal transforms share the computation.
/// </summary>
public interface ILayerTransform
{
    /// <summary>Returns the layers that run in place of the plain ones of a block.</summary>
    BlockLayers Apply(int block, BlockLayers plain);

    /// <summary>Returns the patch embedding that runs in place of the plain one.</summary>
    PatchEmbedding Apply(PatchEmbedding plain) => plain;
}
