namespace RegCache.Lab.Data;

/// <summary>Consecutive images of a set.</summary>
/// <param name="FirstIndex">Index of the first image in the set.</param>
/// <param name="Images">Normalised images [B,3,H,W].</param>
public sealed record ImageBatch(int FirstIndex, Tensor Images) : IDisposable
{
    /// <summary>Number of images.</summary>
    public int Count => (int)Images.shape[0];

    /// <inheritdoc />
    public void Dispose() => Images.Dispose();
}
