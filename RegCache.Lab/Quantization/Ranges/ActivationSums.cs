using RegCache.Lab.Encoders;

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

/// <summary>What a quantizer does to the tokens of an activation, summed so that batches can be added up.</summary>
/// <param name="Squared">Squared error, summed over all values.</param>
/// <param name="Decibels">Signal over error of a token, decibels, summed over tokens.</param>
/// <param name="Tokens">Number of tokens.</param>
internal sealed record QuantizationError(double Squared, double Decibels, long Tokens)
{
    // An error below this share of the signal counts as this share: a token may have none.
    private const double Smallest = 1e-12;

    /// <summary>Mean over tokens of signal over error, decibels.</summary>
    public double MeanDecibels => Decibels / Tokens;

    /// <summary>Measures a quantizer.</summary>
    /// <param name="values">The activation [B,N,C] in the units of the float model.</param>
    /// <param name="quantizer">The quantizer.</param>
    /// <param name="reparameterization">What changes the activation before it is quantized; null for nothing.</param>
    public static QuantizationError Of(Tensor values, ITensorQuantizer quantizer, ScaleReparameterization? reparameterization)
    {
        using var scope = torch.NewDisposeScope();
        var moved = reparameterization?.Move(values) ?? values;
        var error = quantizer.FakeQuantize(moved).sub_(moved);
        error = reparameterization is null ? error : error.mul_(reparameterization.Ratio);
        var noise = error.square().sum([-1], type: torch.ScalarType.Float64);
        var signal = values.square().sum([-1], type: torch.ScalarType.Float64);
        // A token of zeros is quantized to zeros: it counts as one without error.
        var share = (noise / signal.clamp(min: double.Epsilon)).clamp_(min: Smallest);
        return new(noise.sum().item<double>(), -10 * share.log10().sum().item<double>(), share.NumberOfElements);
    }

    /// <summary>The sums of both; of nothing, nothing.</summary>
    public static QuantizationError? operator +(QuantizationError? left, QuantizationError? right) => left is null || right is null
        ? null
        : new(left.Squared + right.Squared, left.Decibels + right.Decibels, left.Tokens + right.Tokens);
}
