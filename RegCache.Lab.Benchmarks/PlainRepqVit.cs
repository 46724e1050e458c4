using RegCache.Lab.Quantization.RepqVit;
using TorchSharp;
using Tensor = TorchSharp.torch.Tensor;

namespace RegCache.Lab.Benchmarks;

/// <summary>RepQ-ViT's range searches written plainly with tensor operators.</summary>
internal static class PlainRepqVit
{
    private static readonly double[] _percentiles = [0.999, 0.9999, 0.99999];

    /// <summary>One grid for every row [R,n]; a tensor is one row.</summary>
    /// <returns>The scales [R].</returns>
    public static float[] OfRows(Tensor rows, int bits)
    {
        using var scope = torch.NewDisposeScope();
        var highest = (1 << bits) - 1;
        var (best, bestScale) = (torch.full([rows.shape[0]], float.PositiveInfinity), torch.zeros(rows.shape[0]));
        foreach (var percentile in _percentiles)
        {
            using var lifetime = torch.NewDisposeScope();
            var (high, low) = (Quantile(rows, percentile), Quantile(rows, 1 - percentile));
            var scale = (high - low) / highest;
            var zeroPoint = (low.neg() / scale).round();
            var (step, zero) = (scale.unsqueeze(1), zeroPoint.unsqueeze(1));
            var quantized = (((rows / step).round() + zero).clamp(0, highest) - zero) * step;
            var error = (quantized - rows).pow(2).mean([1]);
            var isBetter = error.lt(best);
            bestScale = torch.where(isBetter, scale, bestScale).MoveToOuterDisposeScope();
            best = torch.where(isBetter, error, best).MoveToOuterDisposeScope();
        }

        return bestScale.data<float>().ToArray();
    }

    /// <summary>The log-sqrt2 quantizer of all values.</summary>
    /// <returns>Its scale.</returns>
    public static float OfProbabilities(Tensor values, int bits)
    {
        using var scope = torch.NewDisposeScope();
        var row = values.reshape(1, -1);
        var (best, bestScale) = (float.PositiveInfinity, 0f);
        foreach (var percentile in _percentiles)
        {
            using var lifetime = torch.NewDisposeScope();
            var scale = Quantile(row, percentile).item<float>();
            var codes = (row / scale).log2().mul(-2).round();
            var isZero = codes.ge(1 << bits);
            var kept = codes.clamp(0, (1 << bits) - 1);
            var halves = (kept / 2).ceil();
            var quantized = torch.where((halves * 2).ne(kept), halves.neg().exp2() * Math.Sqrt(2), halves.neg().exp2()).masked_fill(isZero, 0) * scale;
            var error = (quantized - row).pow(2).mean().item<float>();
            (best, bestScale) = error < best ? (error, scale) : (best, bestScale);
        }

        return bestScale;
    }

    // torch.quantile refuses more than 2^24 values and sorts the others; so does this.
    private static Tensor Quantile(Tensor rows, double fraction)
    {
        if (rows.NumberOfElements <= Quantiles.SingleRankLimit)
        {
            return rows.quantile(torch.tensor(new[] { (float)fraction }), 1)[0];
        }

        var rank = fraction * (rows.shape[1] - 1);
        var (sorted, _) = rows.sort(1);
        var (below, above) = (sorted.select(1, (long)rank), sorted.select(1, (long)Math.Ceiling(rank)));
        return below + ((above - below) * (float)(rank - Math.Floor(rank)));
    }
}
