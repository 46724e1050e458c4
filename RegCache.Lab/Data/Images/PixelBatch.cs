namespace RegCache.Lab.Data.Images;

/// <summary>
/// Normalised images, ready for a model. The memory is reused: it is valid until the next batch is asked for or
/// the pass ends.
/// </summary>
public sealed class PixelBatch
{
    private readonly ReadOnlyMemory<int> _indices;

    internal PixelBatch(ReadOnlyMemory<int> indices, Memory<float> pixels)
    {
        _indices = indices;
        Pixels = pixels;
    }

    /// <summary>Number of images.</summary>
    public int Count => _indices.Length;

    /// <summary>The index in the set of each image.</summary>
    public ReadOnlySpan<int> Indices => _indices.Span;

    /// <summary>[Count, 3, Height, Width], in memory that does not move.</summary>
    public Memory<float> Pixels { get; }
}
