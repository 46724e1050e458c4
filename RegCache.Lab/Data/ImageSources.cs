using System.Runtime.InteropServices;
using System.Security.Cryptography;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Distributed;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// A labelled set of images in a fixed order, ready for a model: image i is the same in every pass. A source that gains nothing
/// from reading ahead has <see cref="ImageSourceBatches.ReadInTurn"/> for its batches.
/// </summary>
public interface IImageSource
{
    /// <summary>Number of images.</summary>
    int Count { get; }

    /// <summary>Class index of every image; empty for a set without labels.</summary>
    IReadOnlyList<int> Labels { get; }

    /// <summary>Identifies the content and order of the set, as a hash in hexadecimal digits.</summary>
    string Fingerprint { get; }

    /// <summary>Reads the set in order; sources of files decode ahead of the caller.</summary>
    /// <param name="batchSize">Images in a batch; the last one may be smaller.</param>
    /// <param name="firstBatch">Index of the batch to begin with, to go on with an interrupted pass.</param>
    /// <param name="cancellation">Stops the pass.</param>
    /// <returns>Batches of normalised images [B,3,H,W], float32 on the CPU, which the caller disposes.</returns>
    IEnumerable<ImageBatch> ReadBatches(int batchSize, int firstBatch = 0, CancellationToken cancellation = default);

    /// <summary>Reads single images, in the order asked for.</summary>
    /// <returns>Normalised images [B,3,H,W], float32 on the CPU, which the caller disposes.</returns>
    Tensor Read(IReadOnlyList<int> indices);
}

/// <summary>Some images of a set, ready for a model.</summary>
/// <param name="Indices">The index of each image in the set, ascending.</param>
/// <param name="Images">Normalised images [B,3,H,W].</param>
public sealed record ImageBatch(IReadOnlyList<int> Indices, Tensor Images) : IDisposable
{
    /// <summary>Number of images.</summary>
    public int Count => Indices.Count;

    /// <summary>Number of images of the set up to the end of this batch.</summary>
    public int End => Indices[^1] + 1;

    /// <inheritdoc />
    public void Dispose() => Images.Dispose();
}

/// <summary>Batches of sources that do not read ahead.</summary>
public static class ImageSourceBatches
{
    /// <summary>What <see cref="IImageSource.ReadBatches"/> promises, each batch read when it is asked for.</summary>
    public static IEnumerable<ImageBatch> ReadInTurn(
        this IImageSource source, int batchSize, int firstBatch, CancellationToken cancellation)
    {
        for (var first = firstBatch * batchSize; first < source.Count; first += batchSize)
        {
            cancellation.ThrowIfCancellationRequested();
            int[] indices = [.. Enumerable.Range(first, Math.Min(batchSize, source.Count - first))];
            yield return new(indices, source.Read(indices));
        }
    }
}

/// <summary>A set of images with captions, for training and retrieval. May be read from several threads.</summary>
public interface IPairSource : IImageItems, IDisposable
{
    /// <summary>Identifies the content and order of the set.</summary>
    string Fingerprint { get; }

    /// <summary>What was found, and what was left out and why.</summary>
    DataInventory Inventory { get; }

    /// <summary>The caption of an image.</summary>
    /// <exception cref="UserException">It cannot be read; the message names the pair.</exception>
    string Caption(int index);

    /// <summary>Where the image of a pair comes from: the address that its shard notes, else its name.</summary>
    string Origin(int index) => Name(index);
}

/// <summary>Some images of a set, evenly spaced, so that all classes of an ordered set take part.</summary>
public sealed class ImageSubset : IImageSource
{
    private readonly IImageSource _all;
    private readonly int[] _indices;

    /// <summary>Chooses images.</summary>
    /// <param name="all">The whole set.</param>
    /// <param name="count">How many, at most.</param>
    public ImageSubset(IImageSource all, int count)
    {
        _all = all;
        count = Math.Min(count, all.Count);
        _indices = [.. Enumerable.Range(0, count).Select(index => (int)((long)index * all.Count / count))];
        Labels = all.Labels.Count == 0 ? [] : [.. _indices.Select(index => all.Labels[index])];
    }

    private ImageSubset(IImageSource all, int[] indices)
    {
        (_all, _indices) = (all, indices);
        Labels = all.Labels.Count == 0 ? [] : [.. indices.Select(index => all.Labels[index])];
    }

    /// <inheritdoc />
    public int Count => _indices.Length;

    /// <inheritdoc />
    public IReadOnlyList<int> Labels { get; }

    /// <inheritdoc />
    public string Fingerprint => $"{_all.Fingerprint}/{Count}";

    /// <inheritdoc />
    public IEnumerable<ImageBatch> ReadBatches(int batchSize, int firstBatch = 0, CancellationToken cancellation = default) =>
        _all is ImageSetSource set
            ? set.ReadBatches(_indices, batchSize, firstBatch, cancellation)
                .Select(batch => batch with { Indices = [.. batch.Indices.Select(index => Array.BinarySearch(_indices, index))] })
            : this.ReadInTurn(batchSize, firstBatch, cancellation);

    /// <inheritdoc />
    public Tensor Read(IReadOnlyList<int> indices) => _all.Read([.. indices.Select(index => _indices[index])]);

    /// <summary>Given images of a set, in ascending order.</summary>
    internal static ImageSubset Of(IImageSource all, int[] indices) =>
        all is ImageSubset part ? new(part._all, [.. indices.Select(index => part._indices[index])]) : new(all, indices);
}

/// <summary>The images of a pass, shared by several processes: each takes every K-th batch, so that batches are those of one process.</summary>
public static class ImageShares
{
    /// <summary>Reads this process's batches of a pass, one for each round of the processes.</summary>
    /// <param name="images">The set.</param>
    /// <param name="processes">The processes.</param>
    /// <param name="batchSize">Images in a batch.</param>
    /// <param name="firstBatch">Index of the batch that the pass begins with.</param>
    /// <param name="cancellation">Stops the pass.</param>
    /// <returns>
    /// As many entries on every process: the batch, which the caller disposes, or null where there is none left, or none of it can be read.
    /// </returns>
    public static IEnumerable<ImageBatch?> ReadShare(
        this IImageSource images, IProcessGroup processes, int batchSize, int firstBatch, CancellationToken cancellation)
    {
        if (processes.Size == 1)
        {
            foreach (var batch in images.ReadBatches(batchSize, firstBatch, cancellation))
            {
                yield return batch;
            }

            yield break;
        }

        var batches = (int)(((long)images.Count + batchSize - 1) / batchSize);
        int[] own = [.. Enumerable.Range(firstBatch, Math.Max(0, batches - firstBatch)).Where(batch => (batch - firstBatch) % processes.Size == processes.Rank)];
        int[] indices = [.. own.SelectMany(batch => Enumerable.Range(batch * batchSize, Math.Min(batchSize, images.Count - (batch * batchSize))))];
        using var reading = (indices.Length == 0 ? [] : ImageSubset.Of(images, indices).ReadBatches(batchSize, 0, cancellation)).GetEnumerator();
        ImageBatch? next = null;
        for (var first = firstBatch; first < batches; first += processes.Size)
        {
            if (next is null && reading.MoveNext())
            {
                next = reading.Current with { Indices = [.. reading.Current.Indices.Select(index => indices[index])] };
            }

            // A batch that cannot be read at all is passed over by the source.
            var isDue = next is not null && next.Indices[0] / batchSize == first + processes.Rank;
            yield return isDue ? next : null;
            next = isDue ? null : next;
        }
    }
}

/// <summary>Images that are already in memory as a normalised tensor.</summary>
public sealed class MemoryImageSource : IImageSource, IDisposable
{
    private readonly Tensor _images;

    /// <summary>Takes ownership of the images.</summary>
    /// <param name="images">Normalised images [N,3,H,W], float32 on the CPU.</param>
    /// <param name="labels">Class index of every image, or none.</param>
    /// <exception cref="ArgumentException">There are labels, but not one for each image.</exception>
    public MemoryImageSource(Tensor images, IReadOnlyList<int> labels)
    {
        if (labels.Count != 0 && labels.Count != images.shape[0])
        {
            throw new ArgumentException($"{labels.Count} labels for {images.shape[0]} images.", nameof(labels));
        }

        _images = images.contiguous().DetachFromDisposeScope();
        Labels = labels;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(_images.bytes);
        hash.AppendData(MemoryMarshal.AsBytes<int>(labels.ToArray()));
        Fingerprint = Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <inheritdoc />
    public int Count => (int)_images.shape[0];

    /// <inheritdoc />
    public IReadOnlyList<int> Labels { get; }

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <inheritdoc />
    public IEnumerable<ImageBatch> ReadBatches(int batchSize, int firstBatch = 0, CancellationToken cancellation = default) =>
        this.ReadInTurn(batchSize, firstBatch, cancellation);

    /// <inheritdoc />
    public Tensor Read(IReadOnlyList<int> indices)
    {
        using var index = torch.tensor(indices.Select(index => (long)index).ToArray());
        return _images.index_select(0, index);
    }

    /// <inheritdoc />
    public void Dispose() => _images.Dispose();
}
