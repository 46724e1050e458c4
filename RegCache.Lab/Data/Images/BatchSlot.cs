namespace RegCache.Lab.Data.Images;

/// <summary>A batch in the making: its memory, its images and what went wrong with them.</summary>
internal sealed class BatchSlot(int capacity, int imageLength) : IDisposable
{
    private readonly float[] _pixels =
        GC.AllocateUninitializedArray<float>(checked(capacity * imageLength), pinned: true);

    private readonly int[] _indices = new int[capacity];
    private readonly Exception?[] _errors = new Exception?[capacity];
    private readonly ManualResetEventSlim _finished = new();
    private int _left;

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

    public Span<float> PixelsAt(int position) => _pixels.AsSpan(position * imageLength, imageLength);

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

        return new PixelBatch(_indices.AsMemory(0, kept), _pixels.AsMemory(0, kept * imageLength));
    }

    public void Dispose() => _finished.Dispose();
}
