namespace RegCache.Lab.Data;

/// <summary>Some images of a set, ready for a model.</summary>
/// <param name="Indices">The index of each image in the set, ascending.</param>
/// <param name="Images">Normalised images [B,3,H,W].</param>
public sealed record ImageBatch(IReadOnlyList<int> Indices, Tensor Images) : IDisposable
{
    /// <summary>Number of images.</summary>
    public int Count => Indices.Count;

    /// <summary>Number of images of the set up to the end of this batch.</summary>
    public int End => Indices[^1] + 1;

    /// <inheritdoc />
    public void Dispose() => Images.Dispose();
}
