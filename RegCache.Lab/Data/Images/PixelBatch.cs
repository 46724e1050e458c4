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

/// <summary>
/// How the pixels of a <see cref="DecodedImage"/> are stored. Grey images are stored as <see cref="Rgb"/> and grey
/// images with alpha as <see cref="Rgba"/>: resampling treats channels alike, so this changes no byte of a result.
/// </summary>
public enum PixelLayout
{
    /// <summary>Three bytes a pixel: red, green, blue.</summary>
    Rgb,

    /// <summary>Four bytes a pixel: red, green, blue, alpha (not premultiplied).</summary>
    Rgba,

    /// <summary>Four bytes a pixel: cyan, magenta, yellow, black, 255 = full ink.</summary>
    Cmyk,

    /// <summary>One byte a pixel: the index of a colour in <see cref="DecodedImage.Palette"/>.</summary>
    Palette,

    /// <summary>Two bytes a pixel in the machine's byte order: 16-bit grey.</summary>
    Grey16,
}

/// <summary>A model's input turned back into pictures.</summary>
public static class InputPixels
{
    /// <summary>Undoes the normalisation.</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="preprocess">How they were normalised.</param>
    /// <returns>For each image its pixels [H,W,3].</returns>
    public static IReadOnlyList<byte[]> Of(Tensor images, PreprocessOptions preprocess)
    {
        static Tensor Channels(RgbValues values) => torch.tensor(new[] { values.Red, values.Green, values.Blue }).view(3, 1, 1);
        using var scope = torch.NewDisposeScope();
        var bytes = ((images.cpu() * Channels(preprocess.StandardDeviation)) + Channels(preprocess.Mean)).mul(255).round().clamp(0, 255)
            .to(torch.ScalarType.Byte).permute(0, 2, 3, 1).contiguous();
        return [.. Enumerable.Range(0, (int)bytes.shape[0]).Select(image => bytes[image].data<byte>().ToArray())];
    }
}

/// <summary>A batch in the making: its images and what went wrong with them.</summary>
/// <param name="pixels">The memory for <paramref name="capacity"/> images.</param>
/// <param name="capacity">The most images.</param>
internal sealed class BatchSlot(float[] pixels, int capacity) : IDisposable
{
    private readonly int _imageLength = pixels.Length / capacity;
    private readonly int[] _indices = new int[capacity];
    private readonly Exception?[] _errors = new Exception?[capacity];
    private readonly ManualResetEventSlim _finished = new();
    private int _left;

    /// <summary>The memory.</summary>
    public float[] Pixels { get; } = pixels;

    /// <summary>Images of the batch, bad ones included.</summary>
    public int Count { get; private set; }

    /// <summary>Starts over with other images.</summary>
    public void Begin(ReadOnlySpan<int> indices)
    {
        Count = indices.Length;
        indices.CopyTo(_indices);
        Array.Clear(_errors);
        _left = Count;
        _finished.Reset();
    }

    public int IndexAt(int position) => _indices[position];

    public Exception? ErrorAt(int position) => _errors[position];

    public Span<float> PixelsAt(int position) => Pixels.AsSpan(position * _imageLength, _imageLength);

    /// <summary>Says that an image is done; the last one wakes the consumer.</summary>
    public void Finish(int position, Exception? error)
    {
        _errors[position] = error;
        if (Interlocked.Decrement(ref _left) == 0)
        {
            _finished.Set();
        }
    }

    public void Wait(CancellationToken cancellation) => _finished.Wait(cancellation);

    /// <summary>The images without an error, moved together.</summary>
    public PixelBatch ToBatch()
    {
        var kept = 0;
        for (var position = 0; position < Count; position++)
        {
            if (_errors[position] is not null)
            {
                continue;
            }

            if (kept < position)
            {
                PixelsAt(position).CopyTo(PixelsAt(kept));
                _indices[kept] = _indices[position];
            }

            kept++;
        }

        return new PixelBatch(_indices.AsMemory(0, kept), Pixels.AsMemory(0, kept * _imageLength));
    }

    public void Dispose() => _finished.Dispose();
}
