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
#pragma warning disable CA1031 // Whatever goes wrong on this thread is thrown again on the consumer's.
            catch (Exception e)
#pragma warning restore CA1031
            {
                error = e;
            }

            slot.Finish(position, error);
        }
    }
}
