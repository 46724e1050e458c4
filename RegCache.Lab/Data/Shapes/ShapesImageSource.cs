namespace RegCache.Lab.Data.Shapes;

/// <summary>The generated images as a model takes them: bytes / 255, normalised by a mean and a deviation.</summary>
public sealed class ShapesImageSource : IImageSource
{
    private readonly ShapesSet _set;
    private readonly double _mean;
    private readonly double _deviation;

    /// <summary>Presents a set; pixels are converted as they are read.</summary>
    /// <param name="set">The images.</param>
    /// <param name="mean">Subtracted from every channel.</param>
    /// <param name="deviation">Divides every channel.</param>
    public ShapesImageSource(ShapesSet set, double mean = 0.5, double deviation = 0.5)
    {
        (_set, _mean, _deviation) = (set, mean, deviation);
        Labels = set.Samples.All(sample => sample.Label >= 0) ? [.. set.Samples.Select(sample => sample.Label)] : [];
    }

    /// <inheritdoc />
    public int Count => _set.Count;

    /// <inheritdoc />
    public IReadOnlyList<int> Labels { get; }

    /// <inheritdoc />
    public string Fingerprint => $"{_set.Fingerprint}/{_mean}/{_deviation}";

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
    public Tensor Read(IReadOnlyList<int> indices)
    {
        const int pixels = ShapesScene.Side * ShapesScene.Side;
        var values = new float[indices.Count * ShapesScene.Bytes];
        var scale = (float)(1 / (255 * _deviation));
        var shift = (float)(-_mean / _deviation);
        Parallel.For(0, indices.Count, (int position) =>
        {
            var source = _set.Image(indices[position]);
            for (var channel = 0; channel < 3; channel++)
            {
                var plane = values.AsSpan((position * ShapesScene.Bytes) + (channel * pixels), pixels);
                for (var pixel = 0; pixel < pixels; pixel++)
                {
                    plane[pixel] = (source[(3 * pixel) + channel] * scale) + shift;
                }
            }
        });
        return torch.tensor(values, [indices.Count, 3, ShapesScene.Side, ShapesScene.Side], torch.ScalarType.Float32);
    }
}
