using System.Text.RegularExpressions;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training.Clip;

/// <summary>Image-text pairs ready for a model.</summary>
/// <param name="Images">Normalised images [B,3,H,W].</param>
/// <param name="TextIds">Token ids [T B,context] of T captions an image, the first ones of all images first, int64.</param>
/// <param name="Name">Which pairs these are, for messages.</param>
public sealed record ClipBatch(Tensor Images, Tensor TextIds, string Name) : IDisposable
{
    /// <summary>Number of pairs.</summary>
    public int Count => (int)Images.shape[0];

    /// <summary>The pairs' numbers in their set.</summary>
    public IReadOnlyList<int> Indices { get; init; } = [];

    /// <summary>The pairs that the batch lacks because they cannot be read, and why.</summary>
    internal IReadOnlyList<(string Pair, UserException Problem)> LeftOut { get; init; } = [];

    /// <summary>The same batch on a device; this one must not be used afterwards.</summary>
    public ClipBatch To(torch.Device device)
    {
        if (device.type == Images.device_type)
        {
            return this;
        }

        using (this)
        {
            return this with { Images = Images.to(device).DetachFromDisposeScope(), TextIds = TextIds.to(device).DetachFromDisposeScope() };
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        Images.Dispose();
        TextIds.Dispose();
    }
}

/// <summary>Collects the pairs that cannot be read, so that a training goes on without them.</summary>
/// <param name="progress">Told of the first of them.</param>
public sealed class UnreadablePairs(IWorkProgress progress)
{
    private const int MostMessages = 20;
    private readonly Dictionary<string, string> _reasons = [];

    /// <summary>Those that this process has met, a sentence each, sorted.</summary>
    public IReadOnlyList<string> Reasons => [.. _reasons.Values.Order(StringComparer.Ordinal)];

    /// <summary>Notes a pair; it may be met again in every epoch.</summary>
    internal void Add(string name, string reason)
    {
        if (_reasons.TryAdd(name, reason) && _reasons.Count <= MostMessages)
        {
            progress.Message($"A pair is left out. {reason}");
        }
    }
}

/// <summary>Decodes, crops, normalises and tokenizes pairs, on all cores.</summary>
/// <param name="pairs">The pairs.</param>
/// <param name="preprocess">How images become input.</param>
/// <param name="tokenizer">The model's tokenizer.</param>
/// <param name="augmentation">The random changes of the images.</param>
/// <param name="unreadable">Receives the pairs that cannot be read; null: such a pair is refused.</param>
internal sealed partial class ClipBatchMaker(
    IPairSource pairs, PreprocessOptions preprocess, ITokenizer tokenizer, ImageAugmentation augmentation, UnreadablePairs? unreadable = null)
{
    private readonly ImagePreprocessor _preprocessor = new(preprocess);

    /// <summary>Number of pairs of the whole set.</summary>
    public int Count => pairs.Count;

    /// <summary>What is made of a pair's text, the text itself first; empty where texts do not matter.</summary>
    public IReadOnlyList<Func<string, string>> Captions { get; init; } = [static text => text];

    /// <summary>Identifies the image of a pair where several pairs show one, see <see cref="PairGrouping.Mscoco"/>.</summary>
    /// <exception cref="UserException">Neither the pair's path nor its address tells.</exception>
    public string ImageKey(int index) => CocoNumber().Match(pairs.Origin(index)) is { Success: true } match
        ? match.Value
        : throw new UserException(
            $"`dataset_name` mscoco needs the number of the image, twelve digits before .jpg, which {pairs.Name(index)} does not tell ({pairs.Origin(index)}); use sharegpt4v where every pair has its own image.");

    /// <summary>
    /// Makes a batch, which the caller disposes and, when it uses it, hands to <see cref="Note"/>; it is smaller where pairs cannot
    /// be read, and empty where none can.
    /// </summary>
    /// <param name="indices">The pairs.</param>
    /// <param name="stream">Where the pairs draw their changes from, each from a fork of its own.</param>
    /// <param name="title">What the batch is called.</param>
    /// <param name="firstRow">Where the pairs begin in the batch of all processes: pair i draws from fork firstRow + i.</param>
    /// <exception cref="UserException">A pair cannot be read and is not left out, or a decoder is missing.</exception>
    public ClipBatch Make(int[] indices, CounterRandom stream, string title, int firstRow = 0)
    {
        var length = _preprocessor.OutputLength;
        var values = new float[indices.Length * length];
        var captions = new string[indices.Length];
        var problems = new UserException?[indices.Length];
        Parallel.For(0, indices.Length, TensorLibrary.OwnThreads, (int row) =>
        {
            try
            {
                captions[row] = Captions.Count == 0 ? "" : pairs.Caption(indices[row]);
                if (Captions.Count > 1 && string.IsNullOrWhiteSpace(captions[row]))
                {
                    throw new UserException($"{pairs.Name(indices[row])} has no caption, which finetuning needs: add it or take the pair out.");
                }

                using var image = pairs.Load(indices[row]);
                var random = stream.Fork(firstRow + row);
                Fill(image, ref random, values.AsSpan(row * length, length));
            }
            catch (UserException problem)
            {
                problems[row] = problem;
            }
        });
        Refuse(problems);
        int[] rows = [.. Enumerable.Range(0, indices.Length).Where(row => problems[row] is null)];
        for (var row = 0; row < rows.Length; row++)
        {
            if (row < rows[row])
            {
                values.AsSpan(rows[row] * length, length).CopyTo(values.AsSpan(row * length));
            }
        }

        var kept = rows.Length == indices.Length ? values : values[..(rows.Length * length)];
        string[] texts = [.. Captions.SelectMany(make => rows.Select(row => make(captions[row])))];
        return new(
            torch.tensor(kept, [rows.Length, 3, preprocess.Height, preprocess.Width]).DetachFromDisposeScope(),
            torch.tensor(tokenizer.EncodeBatch(texts), [texts.Length, tokenizer.ContextLength]).DetachFromDisposeScope(),
            $"{title}, first {pairs.Name(indices[rows.FirstOrDefault()])}")
        {
            Indices = [.. rows.Select(row => indices[row])],
            LeftOut = [.. indices.Zip(problems).Where(pair => pair.Second is not null).Select(pair => (pairs.Name(pair.First), pair.Second!))],
        };
    }

    /// <summary>
    /// This process's part of all pairs, in order, in batches that are disposed after their turn; pairs that cannot be read are left out and noted.
    /// </summary>
    /// <param name="batchSize">Pairs in a batch.</param>
    /// <param name="title">What the pairs are called.</param>
    /// <param name="processes">The processes, each with the pairs that follow those of the one before.</param>
    /// <exception cref="UserException">A pair cannot be read and is not left out, or none can.</exception>
    public IEnumerable<ClipBatch> InOrder(int batchSize, string title, IProcessGroup processes)
    {
        var any = false;
        UserException? firstProblem = null;
        int Begin(int rank) => (int)((long)Count * rank / processes.Size);
        foreach (var indices in Enumerable.Range(Begin(processes.Rank), Begin(processes.Rank + 1) - Begin(processes.Rank)).Chunk(batchSize))
        {
            using var batch = Make(indices, default, title);
            Note(batch);
            firstProblem ??= batch.LeftOut.Count > 0 ? batch.LeftOut[0].Problem : null;
            if (batch.Count > 0)
            {
                any = true;
                yield return batch;
            }
        }

        if (!processes.Any(any))
        {
            throw NothingReadable(Count, title, firstProblem ?? new("None was there to read."));
        }
    }

    /// <summary>
    /// Notes the pairs that a batch lacks. Whoever uses a batch calls it, because batches that are made ahead and never used would make
    /// the list a matter of chance.
    /// </summary>
    public void Note(ClipBatch batch)
    {
        foreach (var (pair, problem) in batch.LeftOut)
        {
            unreadable?.Add(pair, problem.Message);
        }
    }

    /// <summary>Says that nothing of what is needed can be read.</summary>
    /// <param name="count">The pairs that were tried.</param>
    /// <param name="title">What they are called.</param>
    /// <param name="first">What is wrong with the first of them.</param>
    public static UserException NothingReadable(int count, string title, UserException first) =>
        new($"None of the {count} pairs of {title} can be read. The first: {first.Message}", first);

    [GeneratedRegex(@"[0-9]{12}(?=\.jpg)", RegexOptions.CultureInvariant)]
    private static partial Regex CocoNumber();

    private void Refuse(UserException?[] problems)
    {
        if (problems.FirstOrDefault(problem => problem is { ConcernsAllInput: true }) is { } missing)
        {
            throw missing;
        }

        if (unreadable is null && problems.FirstOrDefault(problem => problem is not null) is { } first)
        {
            throw new UserException($"{first.Message.TrimEnd('.')} (--skip-bad-images leaves it out).", first);
        }
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
    private readonly int _share;
    private readonly int _firstRow;
    private readonly long _seed;
    private (long Epoch, int[] Order) _epoch = (-1, []);
    private (long Number, Task<ClipBatch> Batch)? _ahead;

    /// <summary>Prepares the reading.</summary>
    /// <param name="maker">Makes the micro-batches.</param>
    /// <param name="batchSize">Pairs of a micro-batch of all processes together.</param>
    /// <param name="seed">Decides everything random.</param>
    /// <param name="processes">The processes, each with as many pairs of a micro-batch.</param>
    /// <exception cref="UserException">The set is smaller than a batch.</exception>
    public ClipBatchReader(ClipBatchMaker maker, int batchSize, long seed, IProcessGroup processes)
    {
        (_maker, _batchSize, _seed, _share) = (maker, batchSize, seed, batchSize / processes.Size);
        _firstRow = processes.Rank * _share;
        if (maker.Count < batchSize)
        {
            throw new UserException(
                $"`batch_size` {_share}{(processes.Size > 1 ? $" times {processes.Size} processes" : "")}: the training set has only {maker.Count} pairs; choose a smaller batch.");
        }
    }

    /// <summary>Micro-batches of an epoch.</summary>
    public int BatchesPerEpoch => _maker.Count / _batchSize;

    /// <summary>Reads this process's part of a micro-batch, which the caller disposes.</summary>
    /// <param name="number">Its number, counted through all epochs.</param>
    /// <exception cref="UserException">A pair cannot be read and is not left out, or none of the micro-batch can.</exception>
    public ClipBatch Read(long number)
    {
        if (_ahead is not { } ahead || ahead.Number != number)
        {
            Dispose();
            ahead = (number, Start(number));
        }

        _ahead = null;
        var batch = ahead.Batch.GetAwaiter().GetResult();
        _maker.Note(batch);
        if (batch.Count == 0)
        {
            batch.Dispose();
            throw ClipBatchMaker.NothingReadable(_share, Title(number), batch.LeftOut[0].Problem);
        }

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

    private static string Title(long number) => $"batch {number}";

    private Task<ClipBatch> Start(long number)
    {
        var (epoch, position) = Math.DivRem(number, BatchesPerEpoch);
        if (_epoch.Epoch != epoch)
        {
            _epoch = (epoch, CounterRandom.Of(_seed, purpose: 400, epoch).NextPermutation(_maker.Count));
        }

        var indices = _epoch.Order.AsSpan(((int)position * _batchSize) + _firstRow, _share).ToArray();
        return Task.Run(() => _maker.Make(indices, CounterRandom.Of(_seed, purpose: 401, number), Title(number), _firstRow));
    }
}
