using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using RegCache.Lab.Data;
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
/// </summary>
public sealed class ImageBatches : IDisposable
{
    private const int Ahead = 2;

    private readonly ImageSet _set;
    private readonly TrainingTransform _transform;
    private readonly int _side;
    private readonly int _batchSize;
    private readonly long _seed;
    private readonly TaskScheduler _workers;
    private readonly ConcurrentBag<Picture> _pictures = [];
    private readonly Queue<(long Number, Task<LabelledBatch> Batch)> _ahead = [];
    private (long Epoch, int[] Order) _epoch = (-1, []);

    /// <summary>Prepares the reading; no image is touched yet.</summary>
    /// <param name="set">The labelled images; the caller disposes it afterwards.</param>
    /// <param name="transform">What happens to an image.</param>
    /// <param name="batchSize">Images in a batch.</param>
    /// <param name="seed">Decides everything random.</param>
    /// <param name="workers">Threads that make batches; 0: as many as there are cores.</param>
    /// <exception cref="UserException">The set is smaller than a batch.</exception>
    public ImageBatches(ImageSet set, TrainingTransformOptions transform, int batchSize, long seed, int workers = 0)
    {
        if (set.Count < batchSize)
        {
            throw new UserException($"`batch_size` {batchSize}: the training set has only {set.Count} images; choose a smaller batch.");
        }

        (_set, _transform, _side, _batchSize, _seed) = (set, new(transform), transform.Side, batchSize, seed);
        // One limit for all batches that are under way, where each of them by itself could have as many threads.
        _workers = new ConcurrentExclusiveSchedulerPair(TaskScheduler.Default, workers > 0 ? workers : Environment.ProcessorCount).ConcurrentScheduler;
    }

    /// <summary>Batches of an epoch.</summary>
    public int PerEpoch => _set.Count / _batchSize;

    /// <summary>Takes a batch, which the caller disposes.</summary>
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

        var indices = _epoch.Order.AsSpan((int)position * _batchSize, _batchSize).ToArray();
        return Task.Factory.StartNew(() => Make(indices, epoch, position), CancellationToken.None, TaskCreationOptions.None, _workers);
    }

    private LabelledBatch Make(int[] indices, long epoch, long position)
    {
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
                var random = stream.Fork(indices[row]);
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
