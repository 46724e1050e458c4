using System.Diagnostics;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>Image files on disk, decoded and pre-processed on all cores ahead of the model.</summary>
public sealed class FolderImageSource : IImageSource
{
    private readonly ImageBatchReader _reader;
    private readonly DataInventory _listed;

    /// <summary>Prepares reading; no image is decoded yet.</summary>
    /// <param name="dataset">The files and labels.</param>
    /// <param name="preprocessor">Makes the model input.</param>
    /// <param name="order">The order in which the images are read.</param>
    /// <param name="options">Workers, cache, and what happens to unreadable images.</param>
    /// <param name="cancellation">Stops computing the fingerprint.</param>
    /// <exception cref="UserException">A file cannot be read, unless bad images are skipped.</exception>
    public FolderImageSource(
        ClassFolderDataset dataset,
        ImagePreprocessor preprocessor,
        ImageOrder order = ImageOrder.Class,
        ImageReaderOptions? options = null,
        CancellationToken cancellation = default)
    {
        var byClass = Enumerable.Range(0, dataset.Count);
        int[] sequence = order switch
        {
            ImageOrder.Class => [.. byClass],
            ImageOrder.Name => [.. byClass.OrderBy(index => Path.GetFileName(dataset.Paths[index]), StringComparer.Ordinal)],
            _ => throw new UnreachableException(),
        };
        _reader = new([.. sequence.Select(index => dataset.Paths[index])], preprocessor, options);
        Labels = dataset.Labels.Count == 0 ? [] : [.. sequence.Select(index => dataset.Labels[index])];
        _listed = dataset.Inventory;
        // The model's input depends on both, and with it every result.
        Fingerprint = $"{dataset.ComputeFingerprint(_reader.Options.SkipBadImages, cancellation)}-{order}-{preprocessor.Options}";
    }

    /// <inheritdoc />
    public int Count => _reader.Files.Count;

    /// <inheritdoc />
    public IReadOnlyList<int> Labels { get; }

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <summary>The files in the order of the set.</summary>
    public IReadOnlyList<string> Files => _reader.Files;

    /// <summary>The files that passes so far have left out; empty unless bad images are skipped.</summary>
    public IReadOnlyList<UnreadableImage> Unreadable => _reader.Unreadable;

    /// <summary>What the folder held, and what was left out, unreadable images of the passes so far included.</summary>
    public DataInventory Inventory => Unreadable is { Count: > 0 } bad
        ? _listed with { LeftOut = [.. _listed.LeftOut, new("unreadable images", bad.Count, [.. bad.Take(3).Select(image => image.Path)])] }
        : _listed;

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

    /// <summary>Names the images that were left out, if any.</summary>
    public void TellUnreadable(IWorkProgress progress)
    {
        if (Unreadable is { Count: > 0 } bad)
        {
            progress.Message($"{bad.Count} unreadable images were left out: {string.Join(", ", bad.Select(image => image.Path))}.");
        }
    }

    private UserException NothingReadable() =>
        new($"No image of {_listed.Source} can be read{(Unreadable is [var first, ..] ? $": {first.Reason}" : ".")}");

    // The tensor lies in the batch's memory, which is valid until the next batch is asked for.
    private ImageBatch ToImages(PixelBatch batch)
    {
        var options = _reader.Preprocessor.Options;
        return new([.. batch.Indices], torch.tensor(batch.Pixels, [batch.Count, 3, options.Height, options.Width]));
    }
}

/// <summary>
/// In which order the images of class folders are read. It decides which images share a batch, and so what dynamic
/// per-batch activation ranges are.
/// </summary>
public enum ImageOrder
{
    /// <summary>By class folder, then by file name: batches hold few classes.</summary>
    Class,

    /// <summary>By file name across classes, so that a set numbered in its own order keeps that order.</summary>
    Name,
}
