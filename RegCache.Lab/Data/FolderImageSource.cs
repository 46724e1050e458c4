using System.Diagnostics;
using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Data;

/// <summary>Image files on disk, decoded and pre-processed on all cores ahead of the model.</summary>
public sealed class FolderImageSource : IImageSource
{
    private readonly ImageBatchReader _reader;

    /// <summary>Prepares reading; no image is decoded yet.</summary>
    /// <param name="dataset">The files and labels.</param>
    /// <param name="preprocessor">Makes the model input.</param>
    /// <param name="order">The order in which the images are read.</param>
    /// <param name="options">Workers, cache, and what happens to unreadable images.</param>
    /// <param name="cancellation">Stops computing the fingerprint.</param>
    /// <exception cref="UserException">A file cannot be read.</exception>
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
        // The model's input depends on both, and with it every result.
        Fingerprint = $"{dataset.ComputeFingerprint(cancellation)}-{order}-{preprocessor.Options}";
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

    /// <inheritdoc />
    public IEnumerable<ImageBatch> ReadBatches(int batchSize, int firstBatch = 0, CancellationToken cancellation = default) =>
        _reader.Read(batchSize, firstBatch, cancellation).Where(batch => batch.Count > 0).Select(ToImages);

    /// <inheritdoc />
    public Tensor Read(IReadOnlyList<int> indices) => TensorScope.Run(() =>
        torch.cat([.. _reader.Read(indices, indices.Count).Select(batch => ToImages(batch).Images.clone())]));

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
