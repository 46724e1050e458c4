namespace RegCache.Lab.Encoders;

/// <summary>
/// How the layers of a plan are carried out on the machine: replaces layers by ones that compute the same values faster.
/// Used for inference only; under gradients the plain layers run.
/// </summary>
public interface IBackend
{
    /// <summary>
    /// Returns the layers that run. It takes over what a transform made for this block; tensors that it makes belong to the
    /// current dispose scope.
    /// </summary>
    /// <param name="block">The block's index, 0-based.</param>
    /// <param name="layers">The block's layers, already under the plan's transform.</param>
    BlockLayers Prepare(int block, BlockLayers layers);

    /// <summary>Returns the patch embedding that runs; the same rules.</summary>
    PatchEmbedding Prepare(PatchEmbedding patches) => patches;
}
