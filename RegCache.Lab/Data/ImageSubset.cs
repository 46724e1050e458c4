namespace RegCache.Lab.Data;

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

    /// <inheritdoc />
    public int Count => _indices.Length;

    /// <inheritdoc />
    public IReadOnlyList<int> Labels { get; }

    /// <inheritdoc />
    public string Fingerprint => $"{_all.Fingerprint}/{Count}";

    /// <inheritdoc />
    public IEnumerable<ImageBatch> ReadBatches(int batchSize, int firstBatch = 0, CancellationToken cancellation = default)
    {
        for (var first = firstBatch * batchSize; first < Count; first += batchSize)
        {
            cancellation.ThrowIfCancellationRequested();
            int[] indices = [.. Enumerable.Range(first, Math.Min(batchSize, Count - first))];
            yield return new(indices, Read(indices));
        }
    }

    /// <inheritdoc />
    public Tensor Read(IReadOnlyList<int> indices) => _all.Read([.. indices.Select(index => _indices[index])]);
}
