using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace RegCache.Lab.Data;

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
    public IEnumerable<ImageBatch> ReadBatches(int batchSize, int firstBatch = 0, CancellationToken cancellation = default)
    {
        for (var first = firstBatch * batchSize; first < Count; first += batchSize)
        {
            cancellation.ThrowIfCancellationRequested();
            var count = Math.Min(batchSize, Count - first);
            yield return new([.. Enumerable.Range(first, count)], _images.narrow(0, first, count));
        }
    }

    /// <inheritdoc />
    public Tensor Read(IReadOnlyList<int> indices)
    {
        using var index = torch.tensor(indices.Select(index => (long)index).ToArray());
        return _images.index_select(0, index);
    }

    /// <inheritdoc />
    public void Dispose() => _images.Dispose();
}
