using RegCache.Lab.Data.Shapes;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// The micro-batches of a CLIP training: every epoch is a random order of the pairs, its incomplete tail is left out. A
/// micro-batch depends on the seed and its number alone. The next one is made while the current one is used.
/// </summary>
internal sealed class ClipBatchReader : IDisposable
{
    private readonly ClipBatchMaker _maker;
    private readonly int _batchSize;
    private readonly long _seed;
    private (long Epoch, int[] Order) _epoch = (-1, []);
    private (long Number, Task<ClipBatch> Batch)? _ahead;

    /// <summary>Prepares the reading.</summary>
    /// <exception cref="UserException">The set is smaller than a batch.</exception>
    public ClipBatchReader(ClipBatchMaker maker, int batchSize, long seed)
    {
        (_maker, _batchSize, _seed) = (maker, batchSize, seed);
        if (maker.Count < batchSize)
        {
            throw new UserException($"`batch_size` {batchSize}: the training set has only {maker.Count} pairs; choose a smaller batch.");
        }
    }

    /// <summary>Micro-batches of an epoch.</summary>
    public int BatchesPerEpoch => _maker.Count / _batchSize;

    /// <summary>Reads a micro-batch, which the caller disposes.</summary>
    /// <param name="number">Its number, counted through all epochs.</param>
    public ClipBatch Read(long number)
    {
        if (_ahead is not { } ahead || ahead.Number != number)
        {
            Dispose();
            ahead = (number, Start(number));
        }

        _ahead = null;
        var batch = ahead.Batch.GetAwaiter().GetResult();
        _ahead = (number + 1, Start(number + 1));
        return batch;
    }

    public void Dispose()
    {
        if (_ahead is { } ahead)
        {
            // A batch that nobody will use may fail unheard.
            ahead.Batch.ContinueWith(
                task => (task.IsCompletedSuccessfully ? task.Result : null)?.Dispose(), TaskScheduler.Default).Wait();
            _ahead = null;
        }
    }

    private Task<ClipBatch> Start(long number)
    {
        var (epoch, position) = Math.DivRem(number, BatchesPerEpoch);
        if (_epoch.Epoch != epoch)
        {
            _epoch = (epoch, CounterRandom.Of(_seed, purpose: 400, epoch).NextPermutation(_maker.Count));
        }

        var indices = _epoch.Order.AsSpan((int)position * _batchSize, _batchSize).ToArray();
        return Task.Run(() => _maker.Make(indices, CounterRandom.Of(_seed, purpose: 401, number), $"batch {number}"));
    }
}
