namespace RegCache.Lab.Quantization;

/// <summary>Uniform grids that cover the range of a tensor: the naive round-to-nearest quantizer (quantizers.md, section 1).</summary>
public static class MinMaxRange
{
    private const double SmallestRange = 1e-6;

    /// <summary>Symmetric signed grid of an activation [B,N,C] or [B,..]: <c>s = max(max|x|, 1e-6) / (2^(b-1) - 1)</c>.</summary>
    /// <param name="values">The activation; its first axis is the image.</param>
    /// <param name="bits">Bit-width 2..8.</param>
    /// <param name="scope">Over which elements the maximum is taken.</param>
    public static UniformQuantizer Symmetric(Tensor values, int bits, ActivationScope scope)
    {
        using var lifetime = torch.NewDisposeScope();
        var (low, high) = Extremes(values, scope);
        return SymmetricFrom(torch.maximum(high, low.neg()), bits);
    }

    /// <summary>
    /// Asymmetric unsigned grid of an activation, its range widened to contain zero:
    /// <c>s = max(hi - lo, 1e-6) / (2^b - 1)</c>, <c>z = clip(round(-lo / s), 0, 2^b - 1)</c>.
    /// </summary>
    /// <param name="values">The activation; its first axis is the image.</param>
    /// <param name="bits">Bit-width 2..8.</param>
    /// <param name="scope">Over which elements the range is taken.</param>
    public static UniformQuantizer Asymmetric(Tensor values, int bits, ActivationScope scope)
    {
        using var lifetime = torch.NewDisposeScope();
        var levels = (1 << bits) - 1;
        var (low, high) = Extremes(values, scope);
        (low, high) = (low.clamp(max: 0), high.clamp(min: 0));
        var width = high - low;
        // The difference of two huge numbers overflows where the difference of their parts does not.
        var scale = torch.where(width.isinf(), (high / levels) - (low / levels), width.clamp(min: SmallestRange) / levels);
        var zeroPoint = (low.neg() / scale).round().clamp(0, levels);
        return new(scale.MoveToOuterDisposeScope(), zeroPoint.MoveToOuterDisposeScope(), 0, levels);
    }

    /// <summary>Symmetric signed grid of a weight matrix [out,in].</summary>
    /// <param name="weight">The weights.</param>
    /// <param name="bits">Bit-width 2..8.</param>
    /// <param name="granularity">One scale for each row [out,1], or one for all [1,1].</param>
    public static UniformQuantizer Symmetric(Tensor weight, int bits, WeightGranularity granularity)
    {
        using var lifetime = torch.NewDisposeScope();
        long[] axes = granularity == WeightGranularity.Row ? [1] : [0, 1];
        return SymmetricFrom(weight.abs().amax(axes, keepdim: true), bits);
    }

    private static UniformQuantizer SymmetricFrom(Tensor largest, int bits)
    {
        var highest = (1 << (bits - 1)) - 1;
        var scale = largest.clamp(min: SmallestRange) / highest;
        return new(scale.MoveToOuterDisposeScope(), null, -highest - 1, highest);
    }

    private static (Tensor Low, Tensor High) Extremes(Tensor values, ActivationScope scope)
    {
        var shape = Enumerable.Repeat(1L, (int)values.Dimensions).ToArray();
        switch (scope)
        {
            case ActivationScope.Batch:
                var (low, high) = torch.aminmax(values);
                return (low.view(shape), high.view(shape));
            case ActivationScope.Image:
                long[] axes = [.. Enumerable.Range(1, shape.Length - 1).Select(axis => (long)axis)];
                return (values.amin(axes, keepdim: true), values.amax(axes, keepdim: true));
            default:
                return (values.amin([-1], keepdim: true), values.amax([-1], keepdim: true));
        }
    }
}
