namespace RegCache.Lab.Training.Augmentation;

/// <summary>
/// Pixels that training changes, [H,W,3] bytes, and as much memory again for changes that cannot work in place. A worker keeps one and
/// fills it with image after image.
/// </summary>
public sealed class Picture
{
    private byte[] _pixels;
    private byte[] _spare;

    /// <summary>A black picture.</summary>
    /// <param name="width">Columns, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    public Picture(int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        (Width, Height) = (width, height);
        _pixels = new byte[Length + Tail];
        _spare = new byte[Length + Tail];
    }

    /// <summary>Bytes behind the last pixel that loads of a whole word may touch.</summary>
    internal const int Tail = 8;

    /// <summary>Columns.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>The pixels, [H,W,3].</summary>
    public Span<byte> Pixels => _pixels.AsSpan(0, Length);

    /// <summary>The pixels and <see cref="Tail"/> bytes more.</summary>
    internal ReadOnlySpan<byte> Padded => _pixels;

    /// <summary>Memory of the same size; what it holds means nothing.</summary>
    internal Span<byte> Spare => _spare.AsSpan(0, Length);

    private int Length => Width * Height * 3;

    /// <summary>Makes the spare memory the pixels.</summary>
    internal void Swap() => (_pixels, _spare) = (_spare, _pixels);
}
