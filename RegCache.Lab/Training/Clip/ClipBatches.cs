using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Training.Clip;

/// <summary>Image-text pairs ready for a model.</summary>
/// <param name="Images">Normalised images [B,3,H,W].</param>
/// <param name="TextIds">Token ids [B,context], int64.</param>
/// <param name="Name">Which pairs these are, for messages.</param>
public sealed record ClipBatch(Tensor Images, Tensor TextIds, string Name) : IDisposable
{
    /// <summary>Number of pairs.</summary>
    public int Count => (int)Images.shape[0];

    /// <inheritdoc />
    public void Dispose()
    {
        Images.Dispose();
        TextIds.Dispose();
    }
}

/// <summary>Decodes, crops, normalises and tokenizes pairs, on all cores.</summary>
/// <param name="pairs">The pairs.</param>
/// <param name="preprocess">How images become input.</param>
/// <param name="tokenizer">The model's tokenizer.</param>
/// <param name="augmentation">The random changes of the images.</param>
internal sealed class ClipBatchMaker(
    IPairSource pairs, PreprocessOptions preprocess, ITokenizer tokenizer, ImageAugmentation augmentation)
{
    private readonly ImagePreprocessor _preprocessor = new(preprocess);

    /// <summary>Number of pairs of the whole set.</summary>
    public int Count => pairs.Count;

    /// <summary>Makes a batch, which the caller disposes.</summary>
    /// <param name="indices">The pairs.</param>
    /// <param name="stream">Pair i of the batch draws its changes from fork i.</param>
    /// <param name="title">What the batch is called.</param>
    public ClipBatch Make(int[] indices, CounterRandom stream, string title)
    {
        var length = _preprocessor.OutputLength;
        var values = new float[indices.Length * length];
        try
        {
            Parallel.For(0, indices.Length, (int row) =>
            {
                using var image = pairs.LoadImage(indices[row]);
                var random = stream.Fork(row);
                Fill(image, ref random, values.AsSpan(row * length, length));
            });
        }
        catch (AggregateException exception) when (exception.InnerExceptions[0] is UserException cause)
        {
            throw new UserException(cause.Message, exception);
        }

        var ids = tokenizer.EncodeBatch([.. indices.Select(pairs.Caption)]);
        return new(
            torch.tensor(values, [indices.Length, 3, preprocess.Height, preprocess.Width]).DetachFromDisposeScope(),
            torch.tensor(ids, [indices.Length, tokenizer.ContextLength]).DetachFromDisposeScope(),
            $"{title}, first {pairs.Name(indices[0])}");
    }

    private void Fill(DecodedImage image, ref CounterRandom random, Span<float> planes)
    {
        using var rgbImage = image.ToRgb();
        if (augmentation.IsNone)
        {
            _preprocessor.ToPlanes(rgbImage, planes);
            return;
        }

        var pixels = new byte[_preprocessor.OutputLength];
        augmentation.Apply(rgbImage, _preprocessor, ref random, pixels);
        _preprocessor.Normalize(pixels, planes);
    }
}

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
            // Nobody will use this batch, so nobody needs to hear that it failed.
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
