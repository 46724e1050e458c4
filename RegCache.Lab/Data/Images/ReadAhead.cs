using System.Collections.Concurrent;

namespace RegCache.Lab.Data.Images;

/// <summary>Threads that fill batches in the order in which they were asked for.</summary>
internal sealed class ReadAhead : IDisposable
{
    private readonly BlockingCollection<(BatchSlot Slot, int Position)> _work = [];
    private readonly Action<int, Span<float>> _read;
    private readonly Thread[] _threads;
    private volatile bool _stopping;

    /// <param name="workers">Number of threads.</param>
    /// <param name="read">Makes the pixels of the image with an index.</param>
    public ReadAhead(int workers, Action<int, Span<float>> read)
    {
        _read = read;
        _threads = new Thread[workers];
        for (var i = 0; i < workers; i++)
        {
            _threads[i] = new Thread(Work) { IsBackground = true, Name = $"image reader {i}" };
            _threads[i].Start();
        }
    }

    /// <summary>Queues the images of a batch.</summary>
    public void Enqueue(BatchSlot slot)
    {
        for (var position = 0; position < slot.Count; position++)
        {
            _work.Add((slot, position));
        }
    }

    /// <summary>Ends the threads; images that were not begun are left.</summary>
    public void Dispose()
    {
        _stopping = true;
        _work.CompleteAdding();
        foreach (var thread in _threads)
        {
            thread.Join();
        }

        _work.Dispose();
    }

    private void Work()
    {
        foreach (var (slot, position) in _work.GetConsumingEnumerable())
        {
            if (_stopping)
            {
                return;
            }

            Exception? error = null;
            try
            {
                _read(slot.IndexAt(position), slot.PixelsAt(position));
            }
            catch (Exception e)
            {
                // Thrown again on the consumer's thread.
                error = e;
            }

            slot.Finish(position, error);
        }
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

/// <summary>Finished crops of a set in memory, up to a number of bytes; used by several threads.</summary>
internal sealed class CropCache(int images, long budget)
{
    private readonly byte[]?[] _crops = budget > 0 ? new byte[]?[images] : [];
    private long _left = budget;

    /// <summary>The crop of an image, or null.</summary>
    public byte[]? Find(int image) => _crops.Length == 0 ? null : Volatile.Read(ref _crops[image]);

    /// <summary>Keeps a copy of a crop while there is room.</summary>
    public void Keep(int image, ReadOnlySpan<byte> crop)
    {
        if (_crops.Length == 0 || Interlocked.Read(ref _left) < crop.Length)
        {
            return;
        }

        if (Interlocked.Add(ref _left, -crop.Length) < 0)
        {
            Interlocked.Add(ref _left, crop.Length);
        }
        else if (Interlocked.CompareExchange(ref _crops[image], crop.ToArray(), null) is not null)
        {
            Interlocked.Add(ref _left, crop.Length);
        }
    }
}
