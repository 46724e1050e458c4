using System.Diagnostics;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>The images of a set, decoded and pre-processed on all cores ahead of the model.</summary>
public sealed class ImageSetSource : IImageSource
{
    private const int MostExamples = 3;

    private readonly ImageBatchReader _reader;
    private readonly ImageSet _set;

    /// <summary>Prepares reading; no image is decoded yet.</summary>
    /// <param name="set">The images and labels. The caller disposes it when the source is no longer read.</param>
    /// <param name="preprocessor">Makes the model input.</param>
    /// <param name="order">The order in which the images are read.</param>
    /// <param name="options">Workers, cache, and what happens to unreadable images.</param>
    /// <param name="cancellation">Stops computing the fingerprint.</param>
    /// <exception cref="UserException">An image cannot be read, unless bad images are skipped.</exception>
    public ImageSetSource(
        ImageSet set,
        ImagePreprocessor preprocessor,
        ImageOrder order = ImageOrder.Class,
        ImageReaderOptions? options = null,
        CancellationToken cancellation = default)
    {
        _set = set;
        int[]? sequence = order switch
        {
            ImageOrder.Class => null,
            ImageOrder.Name => [.. Enumerable.Range(0, set.Count).OrderBy(set.SortKey, StringComparer.Ordinal)],
            _ => throw new UnreachableException(),
        };
        _reader = new(sequence is null ? set : new ReorderedItems(set, sequence), preprocessor, options);
        Labels = sequence is null || set.Labels.Count == 0 ? set.Labels : [.. sequence.Select(index => set.Labels[index])];
        // The model's input depends on all of it, and with it every result.
        Fingerprint = $"{set.ComputeFingerprint(_reader.Options.SkipBadImages, cancellation)}{set.Decoding.Key}-{order}-{preprocessor.Options}";
    }

    /// <inheritdoc />
    public int Count => _reader.Items.Count;

    /// <inheritdoc />
    public IReadOnlyList<int> Labels { get; }

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <summary>The images that passes so far have left out; empty unless bad images are skipped.</summary>
    public IReadOnlyList<UnreadableImage> Unreadable => _reader.Unreadable;

    /// <summary>What the set held, and what was left out; with the unreadable and the truncated images of the passes so far.</summary>
    public DataInventory Inventory => _set.Inventory with
    {
        LeftOut = Unreadable is { Count: > 0 } bad
            ? [.. _set.Inventory.LeftOut, new("unreadable images", bad.Count, [.. bad.Take(MostExamples).Select(image => image.Name)])]
            : _set.Inventory.LeftOut,
        Warnings = TruncatedInWords(MostExamples) is { } truncated ? [.. _set.Inventory.Warnings, truncated] : _set.Inventory.Warnings,
    };

    /// <summary>What an image is called: a path, or a shard and a member.</summary>
    public string Name(int index) => _reader.Items.Name(index);

    /// <inheritdoc />
    public IEnumerable<ImageBatch> ReadBatches(int batchSize, int firstBatch = 0, CancellationToken cancellation = default) =>
        ReadBatches([.. Enumerable.Range(0, Count)], batchSize, firstBatch, cancellation);

    /// <summary>Reads some images as <see cref="IImageSource.ReadBatches"/> reads all; batches without a readable one are passed over.</summary>
    internal IEnumerable<ImageBatch> ReadBatches(int[] indices, int batchSize, int firstBatch, CancellationToken cancellation)
    {
        var any = firstBatch > 0;
        var first = (int)Math.Min(indices.Length, (long)firstBatch * batchSize);
        foreach (var batch in _reader.Read(indices[first..], batchSize, cancellation))
        {
            any = true;
            yield return ToImages(batch);
        }

        if (!any)
        {
            throw NothingReadable();
        }
    }

    /// <inheritdoc />
    /// <remarks>Where bad images are skipped they are missing from the result.</remarks>
    public Tensor Read(IReadOnlyList<int> indices) => TensorScope.Run(() =>
    {
        Tensor[] parts = [.. _reader.Read(indices, indices.Count).Select(batch => ToImages(batch).Images.clone())];
        return parts.Length > 0 ? torch.cat(parts) : throw NothingReadable();
    });

    /// <summary>Names the images that were left out and those that were truncated, if any.</summary>
    public void TellUnreadable(IWorkProgress progress)
    {
        if (Unreadable is { Count: > 0 } bad)
        {
            progress.Message($"{bad.Count} unreadable images were left out: {string.Join(", ", bad.Select(image => image.Name))}.");
        }

        if (TruncatedInWords(Count) is { } truncated)
        {
            progress.Message(truncated);
        }
    }

    private string? TruncatedInWords(int most) => _reader.Truncated is { Count: > 0 } truncated
        ? $"{truncated.Count} truncated images were used as far as they go: " +
            $"{string.Join(", ", truncated.Take(most).Select(Name))}{(truncated.Count > most ? ", ..." : ".")}"
        : null;

    private UserException NothingReadable() =>
        new($"No image of {_set.Inventory.Source} can be read{(Unreadable is [var first, ..] ? $": {first.Reason}" : ".")}");

    // The tensor lies in the batch's memory, which is valid until the next batch is asked for.
    private ImageBatch ToImages(PixelBatch batch)
    {
        var options = _reader.Preprocessor.Options;
        return new([.. batch.Indices], torch.tensor(batch.Pixels, [batch.Count, 3, options.Height, options.Width]));
    }

    private sealed class ReorderedItems(IImageItems items, int[] order) : IImageItems
    {
        public int Count => order.Length;

        public string Name(int index) => items.Name(order[index]);

        public DecodedImage Load(int index) => items.Load(order[index]);
    }
}

/// <summary>
/// In which order the images of a set are read. It decides which images share a batch, and so what dynamic
/// per-batch activation ranges are.
/// </summary>
public enum ImageOrder
{
    /// <summary>As the set lies on disk; class folders by class, then by file name: batches hold few classes.</summary>
    Class,

    /// <summary>By file name across classes, so that a set numbered in its own order keeps that order.</summary>
    Name,
}
