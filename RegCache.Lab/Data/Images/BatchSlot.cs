namespace RegCache.Lab.Data.Images;

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
