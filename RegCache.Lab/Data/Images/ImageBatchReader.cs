using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using RegCache.Lab.Distributed;

namespace RegCache.Lab.Data.Images;

/// <summary>
/// Turns images into batches of model input, decoding on all cores ahead of the consumer. The order is that of the
/// items, whichever thread is done first. Several passes may be made, also at once; they share the crops in memory.
/// </summary>
public sealed class ImageBatchReader
{
    private readonly CropCache _cache;
    private readonly ConcurrentBag<float[]> _buffers = [];
    private readonly SortedDictionary<int, UnreadableImage> _unreadable = [];
    private readonly SortedSet<int> _truncated = [];

    /// <summary>Prepares reading; no image is touched yet.</summary>
    /// <param name="items">The images, in order.</param>
    /// <param name="preprocessor">Makes the model input.</param>
    /// <param name="options">How to read, or null for the defaults.</param>
    /// <exception cref="UserException">There are no workers, or the numbers of <paramref name="options"/> are negative.</exception>
    public ImageBatchReader(IImageItems items, ImagePreprocessor preprocessor, ImageReaderOptions? options = null)
    {
        Items = items;
        Preprocessor = preprocessor;
        Options = options ?? new ImageReaderOptions();
        if (Options.Workers < 1 || Options.BatchesAhead < 0 || Options.CacheBytes < 0)
        {
            throw new UserException(
                $"Images cannot be read with {Options.Workers} workers, {Options.BatchesAhead} batches ahead and " +
                $"{Options.CacheBytes} bytes of cache: choose at least one worker and no negative number.");
        }

        _cache = new CropCache(items.Count, Options.CacheBytes);
    }

    /// <summary>The images, in order.</summary>
    public IImageItems Items { get; }

    /// <summary>Makes the model input.</summary>
    public ImagePreprocessor Preprocessor { get; }

    /// <summary>How they are read.</summary>
    public ImageReaderOptions Options { get; }

    /// <summary>The images that passes so far have left out, by index; empty unless bad images are skipped.</summary>
    public IReadOnlyList<UnreadableImage> Unreadable
    {
        get
        {
            lock (_unreadable)
            {
                return [.. _unreadable.Values];
            }
        }
    }

    /// <summary>
    /// The images so far that end early and were decoded as far as they go, by index; empty unless
    /// <see cref="DecodingOptions.TruncatedImages"/> allows that.
    /// </summary>
    public IReadOnlyList<int> Truncated
    {
        get
        {
            lock (_truncated)
            {
                return [.. _truncated];
            }
        }
    }

    /// <summary>Reads all images.</summary>
    /// <param name="batchSize">Images a batch; the last one may have fewer.</param>
    /// <param name="firstBatch">The batch to begin with, to go on with an interrupted pass.</param>
    /// <param name="cancellation">Stops the pass.</param>
    /// <returns>Batches whose memory is reused, by later ones of this and of later passes.</returns>
    /// <exception cref="UserException">An image cannot be used and bad images are not skipped: the first such one.</exception>
    public IEnumerable<PixelBatch> Read(int batchSize, int firstBatch = 0, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(firstBatch);
        var first = (int)Math.Min(Items.Count, (long)firstBatch * batchSize);
        return Read([.. Enumerable.Range(first, Items.Count - first)], batchSize, cancellation);
    }

    /// <summary>Reads some images.</summary>
    /// <param name="indices">Which, in the order wanted.</param>
    /// <param name="batchSize">Images a batch; the last one may have fewer, as have batches with skipped images.</param>
    /// <param name="cancellation">Stops the pass.</param>
    /// <returns>Batches whose memory is reused, by later ones of this and of later passes.</returns>
    /// <exception cref="UserException">An image cannot be used and bad images are not skipped: the first such one.</exception>
    public IEnumerable<PixelBatch> Read(
        IReadOnlyList<int> indices, int batchSize, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        return Run([.. indices], batchSize, cancellation);
    }

    private IEnumerable<PixelBatch> Run(int[] indices, int batchSize, CancellationToken cancellation)
    {
        var batches = (indices.Length + batchSize - 1) / batchSize;
        var slots = new BatchSlot[Math.Min(batches, Options.BatchesAhead + 1)];
        var threads = new ReadAhead(Math.Min(Options.Workers, indices.Length), ReadInto);
        try
        {
            for (var batch = 0; batch < slots.Length; batch++)
            {
                slots[batch] = NewSlot(Math.Min(batchSize, indices.Length));
                Begin(batch);
            }

            for (var batch = 0; batch < batches; batch++)
            {
                var slot = slots[batch % slots.Length];
                slot.Wait(cancellation);
                HandleErrors(slot);
                var ready = slot.ToBatch();
                if (ready.Count > 0)
                {
                    yield return ready;
                }

                if (batch + slots.Length < batches)
                {
                    Begin(batch + slots.Length);
                }
            }
        }
        finally
        {
            // The threads write to the slots until they have ended.
            threads.Dispose();
            foreach (var slot in slots.OfType<BatchSlot>())
            {
                _buffers.Add(slot.Pixels);
                slot.Dispose();
            }
        }

        void Begin(int batch)
        {
            var slot = slots[batch % slots.Length];
            var first = batch * batchSize;
            slot.Begin(indices.AsSpan(first, Math.Min(batchSize, indices.Length - first)));
            threads.Enqueue(slot);
        }
    }

    /// <summary>A slot in the memory of an earlier pass, if it had batches of this size.</summary>
    private BatchSlot NewSlot(int capacity)
    {
        var length = checked(capacity * Preprocessor.OutputLength);
        while (_buffers.TryTake(out var buffer))
        {
            if (buffer.Length == length)
            {
                return new BatchSlot(buffer, capacity);
            }
        }

        return new BatchSlot(GC.AllocateUninitializedArray<float>(length, pinned: true), capacity);
    }

    private void ReadInto(int index, Span<float> planes)
    {
        if (_cache.Find(index) is { } crop)
        {
            Preprocessor.Normalize(crop, planes);
            return;
        }

        ThrowIfKnownBad(index);
        var rgb = ArrayPool<byte>.Shared.Rent(Preprocessor.OutputLength);
        try
        {
            using (var image = Load(index))
            {
                Preprocessor.ToRgb(image, rgb);
            }

            Preprocessor.Normalize(rgb, planes);
            _cache.Keep(index, rgb.AsSpan(0, Preprocessor.OutputLength));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rgb);
        }
    }

    private DecodedImage Load(int index)
    {
        var image = Items.Load(index);
        if (image.IsTruncated)
        {
            lock (_truncated)
            {
                _truncated.Add(index);
            }
        }

        return Options.RgbOnLoad ? image.IntoRgb() : image;
    }

    private void ThrowIfKnownBad(int index)
    {
        if (!Options.SkipBadImages)
        {
            return;
        }

        lock (_unreadable)
        {
            if (_unreadable.TryGetValue(index, out var known))
            {
                throw new UserException(known.Reason);
            }
        }
    }

    private void HandleErrors(BatchSlot slot)
    {
        for (var position = 0; position < slot.Count; position++)
        {
            switch (slot.ErrorAt(position))
            {
                case null:
                    break;
                case UserException { ConcernsAllInput: false } e when Options.SkipBadImages:
                    var index = slot.IndexAt(position);
                    lock (_unreadable)
                    {
                        _unreadable[index] = new UnreadableImage(index, Items.Name(index), e.Message);
                    }

                    break;
                case var e:
                    ExceptionDispatchInfo.Throw(e);
                    break;
            }
        }
    }
}

/// <summary>How an <see cref="ImageBatchReader"/> reads; none of it changes the pixels of a readable RGB image.</summary>
public sealed record ImageReaderOptions
{
    /// <summary>Threads that decode, by default one a core that the process has.</summary>
    public int Workers { get; init; } = Processes.Cores;

    /// <summary>Batches that are made ready while the consumer works on one.</summary>
    public int BatchesAhead { get; init; } = 2;

    /// <summary>
    /// Bytes of memory for finished crops, so that later passes over the set decode nothing: Height * Width * 3 a crop.
    /// What does not fit is decoded again.
    /// </summary>
    public long CacheBytes { get; init; }

    /// <summary>
    /// Leave out images that cannot be decoded, and name them in <see cref="ImageBatchReader.Unreadable"/>, instead of
    /// refusing the set at the first of them.
    /// </summary>
    public bool SkipBadImages { get; init; }

    /// <summary>
    /// Convert to RGB on loading, before the resize, as the loaders of class folders, web datasets and retrieval sets
    /// do. Matters for palette, alpha, CMYK and 16-bit images only.
    /// </summary>
    public bool RgbOnLoad { get; init; } = true;
}

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

/// <summary>An image that was left out.</summary>
/// <param name="Index">Its index in the set.</param>
/// <param name="Name">What it is called: a path, or a shard and a member.</param>
/// <param name="Reason">One sentence that names it and says what is wrong with it.</param>
public sealed record UnreadableImage(int Index, string Name, string Reason);
