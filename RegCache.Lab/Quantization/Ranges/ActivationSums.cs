namespace RegCache.Lab.Quantization.Ranges;

/// <summary>What is summed over the values of an activation, so that batches can be added up.</summary>
internal sealed record ActivationSums
{
    // Double precision takes a few copies of the values: a few images at a time keep them small.
    private const int ImagesAtOnce = 8;

    /// <summary>Smallest value.</summary>
    public double Min { get; private init; } = double.PositiveInfinity;

    /// <summary>Largest value.</summary>
    public double Max { get; private init; } = double.NegativeInfinity;

    /// <summary>Largest magnitude of an image, mean over images.</summary>
    public double MeanLargest => Largest / Images;

    /// <summary>Fourth central moment over the squared variance; null for a constant.</summary>
    public double? Kurtosis
    {
        get
        {
            var (mean, square, cube, fourth) = (First / Count, Second / Count, Third / Count, Fourth / Count);
            var variance = square - (mean * mean);
            return variance > 0
                ? (fourth - (4 * mean * cube) + (6 * mean * mean * square) - (3 * mean * mean * mean * mean)) / (variance * variance)
                : null;
        }
    }

    /// <summary>Number of values.</summary>
    public double Count { get; private init; }

    private long Images { get; init; }

    private double Largest { get; init; }

    private double First { get; init; }

    private double Second { get; init; }

    private double Third { get; init; }

    private double Fourth { get; init; }

    /// <summary>Measures an activation.</summary>
    /// <param name="values">The values [B,..].</param>
    public static ActivationSums Of(Tensor values)
    {
        var sums = new ActivationSums();
        for (var first = 0L; first < values.shape[0]; first += ImagesAtOnce)
        {
            sums += OfPart(values.narrow(0, first, Math.Min(ImagesAtOnce, values.shape[0] - first)));
        }

        return sums;
    }

    /// <summary>The sums of both.</summary>
    public static ActivationSums operator +(ActivationSums left, ActivationSums right) => new()
    {
        Min = Math.Min(left.Min, right.Min),
        Max = Math.Max(left.Max, right.Max),
        Images = left.Images + right.Images,
        Count = left.Count + right.Count,
        Largest = left.Largest + right.Largest,
        First = left.First + right.First,
        Second = left.Second + right.Second,
        Third = left.Third + right.Third,
        Fourth = left.Fourth + right.Fourth,
    };

    private static ActivationSums OfPart(Tensor values)
    {
        using var scope = torch.NewDisposeScope();
        var wide = values.flatten(1).to(torch.ScalarType.Float64);
        var (low, high) = (wide.amin([1]), wide.amax([1]));
        var square = wide.square();
        var sums = torch.stack(
        [
            low.min(), high.max(), torch.maximum(high, low.neg()).sum(), wide.sum(), square.sum(), (square * wide).sum(), square.square().sum(),
        ]).cpu().data<double>().ToArray();
        return new()
        {
            Min = sums[0],
            Max = sums[1],
            Images = values.shape[0],
            Count = values.NumberOfElements,
            Largest = sums[2],
            First = sums[3],
            Second = sums[4],
            Third = sums[5],
            Fourth = sums[6],
        };
    }
}
