using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using RegCache.Lab.Data;
using RegCache.Lab.Distributed;
using RegCache.Lab.Training.Augmentation;

namespace RegCache.Lab.Training.Vit;

/// <summary>Training images with their labels, ready for a classifier.</summary>
/// <param name="Images">Normalised images [B,3,H,W].</param>
/// <param name="Labels">Classes [B], int64.</param>
/// <param name="Name">Which images these are, for messages.</param>
public sealed record LabelledBatch(Tensor Images, Tensor Labels, string Name) : IDisposable
{
    /// <inheritdoc />
    public void Dispose()
    {
        Images.Dispose();
        Labels.Dispose();
    }
}

/// <summary>
/// The batches of a classifier's training, made by worker threads ahead of it. An epoch is a random order of the images without its
/// incomplete tail. What happens to an image depends on the seed, the epoch and the image's number alone, whatever the number of workers.
/// Several processes share every batch: each has as many of its images.
/// </summary>
/// <remarks>
/// A process's part begins with images of the batch's first half and ends with those that mirror them in its last half, so that the two images that
/// are mixed with each other, i and B - 1 - i, are in one process, again as i and b - 1 - i of its b.
/// </remarks>
public sealed class ImageBatches : IDisposable
{
    private const int Ahead = 2;

    private readonly ImageSet _set;
    private readonly TrainingTransform _transform;
    private readonly int _side;
    private readonly int _batchSize;
    private readonly long _seed;
    private readonly IProcessGroup _processes;
    private readonly bool _repeats;
    private readonly TaskScheduler _workers;
    private readonly ConcurrentBag<Picture> _pictures = [];
    private readonly Queue<(long Number, Task<LabelledBatch> Batch)> _ahead = [];
    private (long Epoch, int[] Order) _epoch = (-1, []);

    /// <summary>Prepares the reading; no image is touched yet.</summary>
    /// <param name="set">The labelled images; the caller disposes it afterwards.</param>
    /// <param name="transform">What happens to an image.</param>
    /// <param name="batchSize">Images in a batch of all processes together.</param>
    /// <param name="seed">Decides everything random.</param>
    /// <param name="workers">Threads that make batches; 0: as many as there are cores.</param>
    /// <param name="processes">The processes that share the batches; null for one.</param>
    /// <param name="repeats">Whether several processes see each image three times in a row, see <see cref="RepeatedAugmentation"/>.</param>
    /// <exception cref="UserException">The set is smaller than a batch.</exception>
    public ImageBatches(
        ImageSet set, TrainingTransformOptions transform, int batchSize, long seed, int workers = 0, IProcessGroup? processes = null, bool repeats = false)
    {
        (_set, _transform, _side, _batchSize, _seed) = (set, new(transform), transform.Side, batchSize, seed);
        (_processes, Rows) = (processes ?? SingleProcess.Instance, RowsOf(batchSize, processes ?? SingleProcess.Instance));
        _repeats = repeats && _processes.Size > 1;
        if (PerEpoch == 0)
        {
            var among = _processes.Size > 1 ? $" times {_processes.Size} processes" : "";
            var used = _repeats ? ", of which repeated augmentation uses a multiple of 256" : "";
            throw new UserException($"`batch_size` {Rows.Count}{among}: the training set has only {set.Count} images{used}; choose a smaller batch.");
        }

        // One limit for all batches that are under way, where each of them by itself could have as many threads.
        _workers = new ConcurrentExclusiveSchedulerPair(TaskScheduler.Default, workers > 0 ? workers : Processes.Cores).ConcurrentScheduler;
    }

    /// <summary>Batches of an epoch.</summary>
    public int PerEpoch => (_repeats ? RepeatedAugmentation.Used(_set.Count, _processes.Size) * _processes.Size : _set.Count) / _batchSize;

    /// <summary>Which rows of the batch of all processes are this one's.</summary>
    public IReadOnlyList<int> Rows { get; }

    /// <summary>Takes this process's part of a batch, which the caller disposes.</summary>
    /// <param name="number">Its number, counted through all epochs.</param>
    /// <exception cref="UserException">An image cannot be read.</exception>
    public LabelledBatch Read(long number)
    {
        if (_ahead.Count == 0 || _ahead.Peek().Number != number)
        {
            Dispose();
            _ahead.Enqueue((number, Start(number)));
        }

        while (_ahead.Count <= Ahead)
        {
            var next = number + _ahead.Count;
            _ahead.Enqueue((next, Start(next)));
        }

        return _ahead.Dequeue().Batch.GetAwaiter().GetResult();
    }

    /// <summary>Ends the work that is under way.</summary>
    public void Dispose()
    {
        while (_ahead.TryDequeue(out var ahead))
        {
            // Nobody will use this batch, so nobody needs to hear that it failed.
            ahead.Batch.ContinueWith(task => (task.IsCompletedSuccessfully ? task.Result : null)?.Dispose(), TaskScheduler.Default).Wait();
        }
    }

    private Task<LabelledBatch> Start(long number)
    {
        var (epoch, position) = Math.DivRem(number, PerEpoch);
        if (_epoch.Epoch != epoch)
        {
            _epoch = (epoch, CounterRandom.Of(_seed, purpose: 410, epoch).NextPermutation(_set.Count));
        }

        if (_repeats)
        {
            // Places in the list in which every image stands three times, each time with changes of its own.
            var places = RepeatedAugmentation.Positions(_set.Count, _processes.Rank, _processes.Size).Skip((int)position * Rows.Count).Take(Rows.Count);
            return MakeAhead([.. places.Select(place =>
            {
                var (image, time) = (_epoch.Order[place / RepeatedAugmentation.Repeats], place % RepeatedAugmentation.Repeats);
                return (image, ((long)_set.Count * (1 + time)) + image);
            })]);
        }

        var batch = _epoch.Order.AsSpan((int)position * _batchSize, _batchSize).ToArray();
        (int, long)[] images = [.. Rows.Select(row => (batch[row], (long)batch[row]))];
        return MakeAhead(images);

        Task<LabelledBatch> MakeAhead((int, long)[] wanted) =>
            Task.Factory.StartNew(() => Make(wanted, epoch, position), CancellationToken.None, TaskCreationOptions.None, _workers);
    }

    private static int[] RowsOf(int batchSize, IProcessGroup processes)
    {
        var (share, half) = (batchSize / processes.Size, batchSize / processes.Size / 2);
        return share % 2 != 0
            ? [.. Enumerable.Range(processes.Rank * share, share)]
            : [.. Enumerable.Range(processes.Rank * half, half), .. Enumerable.Range(batchSize - ((processes.Rank + 1) * half), half)];
    }

    // Images with the number of the stream that their changes are drawn from.
    private LabelledBatch Make((int Image, long Stream)[] wanted, long epoch, long position)
    {
        int[] indices = [.. wanted.Select(image => image.Image)];
        var length = _transform.OutputLength;
        var images = torch.empty([indices.Length, 3, _side, _side], torch.ScalarType.Float32).DetachFromDisposeScope();
        var problems = new UserException?[indices.Length];
        var stream = CounterRandom.Of(_seed, purpose: 411, epoch);
        Parallel.For(0, indices.Length, new ParallelOptions { TaskScheduler = _workers }, row =>
        {
            var picture = _pictures.TryTake(out var kept) ? kept : _transform.NewPicture();
            try
            {
                // Straight into the tensor: a batch of 224 pixels is some 20 MB, which a copy would touch three times.
                var values = MemoryMarshal.Cast<byte, float>(images.bytes).Slice(row * length, length);
                using var image = _set.Load(indices[row]);
                using var rgb = image.ToRgb();
                var random = stream.Fork(wanted[row].Stream);
                _transform.Apply(rgb, picture, ref random, values);
            }
            catch (UserException problem)
            {
                problems[row] = problem;
            }

            _pictures.Add(picture);
        });
        if (problems.FirstOrDefault(problem => problem is not null) is { } first)
        {
            images.Dispose();
            throw first;
        }

        return new(
            images,
            torch.tensor(indices.Select(index => (long)_set.Labels[index]).ToArray()).DetachFromDisposeScope(),
            $"epoch {epoch}, batch {position}, first {_set.Name(indices[0])}");
    }
}
