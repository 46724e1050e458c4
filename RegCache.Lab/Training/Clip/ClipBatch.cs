namespace RegCache.Lab.Training.Clip;

/// <summary>Image-text pairs ready for a model.</summary>
/// <param name="Images">Normalised images [B,3,H,W].</param>
/// <param name="TextIds">Token ids [B,context], int64.</param>
/// <param name="Name">Which pairs these are, for messages.</param>
public sealed record ClipBatch(Tensor Images, Tensor TextIds, string Name) : IDisposable
{
    /// <summary>Number of pairs.</summary>
    public int Count => (int)Images.shape[0];

    /// <inheritdoc />
    public void Dispose()
    {
        Images.Dispose();
        TextIds.Dispose();
    }
}
