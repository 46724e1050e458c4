using RegCache.Lab.Quantization.Kernels;

namespace RegCache.Lab.Quantization.RepqVit;

/// <summary>
/// Ranges between percentiles: of three candidate pairs the one with the smallest mean squared error, the first of equals
/// (docs/methods/quantizers.md, "Percentile ranges").
/// </summary>
public static class PercentileRange
{
    private const float SmallestNormal = 1.17549435e-38f;

    private static readonly double[] _percentiles = [0.999, 0.9999, 0.99999];

    /// <summary>One asymmetric grid for all values, scale [1].</summary>
    /// <param name="values">The values; their first axis is the image.</param>
    /// <param name="bits">Bit-width.</param>
    /// <param name="name">What is quantized, for messages.</param>
    /// <exception cref="UserException">A value is not finite.</exception>
    public static UniformQuantizer OfTensor(Tensor values, int bits, string name)
    {
        RequireFinite(values, name);
        return TensorScope.Run(() => OfRows(values.reshape(1, -1), bits, 1));
    }

    /// <summary>A grid for every channel of an activation [B,N,C], scale [1,1,C].</summary>
    /// <param name="values">The activation.</param>
    /// <param name="bits">Bit-width.</param>
    /// <param name="name">What is quantized, for messages.</param>
    /// <exception cref="UserException">A value is not finite.</exception>
    public static UniformQuantizer OfChannels(Tensor values, int bits, string name)
    {
        RequireFinite(values, name);
        return TensorScope.Run(() => OfRows(values.flatten(0, 1).t().contiguous(), bits, 1, 1, values.shape[^1]));
    }

    /// <summary>A grid for every row or output channel of weights [out,..], scale [out,1,..].</summary>
    public static UniformQuantizer OfWeights(Tensor weight, int bits)
    {
        long[] shape = [weight.shape[0], .. Enumerable.Repeat(1L, weight.shape.Length - 1)];
        return TensorScope.Run(() => OfRows(weight.flatten(1).contiguous(), bits, shape));
    }

    /// <summary>The log-sqrt2 quantizer of attention probabilities.</summary>
    /// <param name="probabilities">Softmax outputs [B,H,M,N].</param>
    /// <param name="bits">Bit-width.</param>
    /// <param name="name">What is quantized, for messages.</param>
    /// <exception cref="UserException">A value is not finite.</exception>
    public static LogSqrt2Quantizer OfProbabilities(Tensor probabilities, int bits, string name)
    {
        RequireFinite(probabilities, name);
        using var scope = torch.NewDisposeScope();
        var rows = probabilities.reshape(1, -1);
        var scales = Quantiles.OfRows(rows, _percentiles)[0];
        // Without any probability above zero every scale is as good.
        var candidates = Array.ConvertAll(scales, scale => new LogSqrt2Quantizer(scale >= SmallestNormal ? scale : 1, bits));
        var errors = VectorKernel.CanRead(rows)
            ? SquaredError.Sum(rows, [Array.ConvertAll(candidates, candidate => new LogSqrt2Quantizer.Operation(candidate))])[0]
            : [.. candidates.Select(candidate => Error(rows, candidate)[0])];
        return candidates[FirstSmallest(errors)];
    }

    // rows [R,n]
    private static UniformQuantizer OfRows(Tensor rows, int bits, params long[] shape)
    {
        var highest = (1 << bits) - 1;
        double[] fractions = [.. _percentiles.SelectMany(percentile => new[] { percentile, 1 - percentile })];
        var candidates = Array.ConvertAll(
            Quantiles.OfRows(rows, fractions),
            found => found.Chunk(2).Select(range => Grid(low: range[1], high: range[0], highest)).ToArray());
        var errors = VectorKernel.CanRead(rows)
            ? SquaredError.Sum(rows, Array.ConvertAll(candidates, set => Array.ConvertAll(
                set, grid => new UniformOperation(grid.Scale, grid.ZeroPoint, 0, highest))))
            : ErrorsByOperators(rows, candidates, highest);
        var best = candidates.Select((set, row) => set[FirstSmallest(errors[row])]).ToArray();
        Tensor Column(Func<(float Scale, float ZeroPoint), float> value) =>
            torch.tensor(best.Select(value).ToArray(), device: rows.device).reshape(shape);
        return new(Column(grid => grid.Scale), Column(grid => grid.ZeroPoint), 0, highest);
    }

    private static (float Scale, float ZeroPoint) Grid(float low, float high, int highest)
    {
        var scale = (high - low) / highest;
        if (!float.IsFinite(scale))
        {
            scale = (high / highest) - (low / highest);
        }

        if (scale < SmallestNormal)
        {
            // All values between the percentiles are equal: the range from zero to them holds them exactly.
            (low, high) = (Math.Min(low, 0), Math.Max(high, 0));
            scale = (high / highest) - (low / highest);
            scale = scale < SmallestNormal ? 1 : scale;
        }

        return (scale, MathF.Round(-low / scale));
    }

    private static double[][] ErrorsByOperators(Tensor rows, (float Scale, float ZeroPoint)[][] candidates, int highest)
    {
        var errors = Array.ConvertAll(candidates, set => new double[set.Length]);
        for (var candidate = 0; candidate < _percentiles.Length; candidate++)
        {
            using var scope = torch.NewDisposeScope();
            Tensor Column(Func<(float Scale, float ZeroPoint), float> value) =>
                torch.tensor(candidates.Select(set => value(set[candidate])).ToArray(), device: rows.device).unsqueeze(1);
            var found = Error(rows, new UniformQuantizer(Column(grid => grid.Scale), Column(grid => grid.ZeroPoint), 0, highest));
            for (var row = 0; row < errors.Length; row++)
            {
                errors[row][candidate] = found[row];
            }
        }

        return errors;
    }

    private static double[] Error(Tensor rows, ITensorQuantizer quantizer)
    {
        using var scope = torch.NewDisposeScope();
        return (quantizer.FakeQuantize(rows) - rows).square().sum(1, type: torch.ScalarType.Float64).cpu().data<double>().ToArray();
    }

    private static int FirstSmallest(double[] errors)
    {
        var best = 0;
        for (var candidate = 1; candidate < errors.Length; candidate++)
        {
            best = errors[candidate] < errors[best] ? candidate : best;
        }

        return best;
    }

    private static void RequireFinite(Tensor values, string name)
    {
        using var scope = torch.NewDisposeScope();
        var (low, high) = torch.aminmax(values);
        FiniteCheck.Require(torch.stack([low, high]), values, name);
    }
}
