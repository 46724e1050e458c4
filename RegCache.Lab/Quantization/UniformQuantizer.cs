using RegCache.Lab.Quantization.Kernels;

namespace RegCache.Lab.Quantization;

/// <summary>
/// A uniform quantizer with its parameters: codes <c>q = clip(round(x / s) + z, lowest, highest)</c>, values
/// <c>(q - z) s</c>, rounding half to even (quantizers.md, section 1).
/// </summary>
/// <param name="Scale">Step s, broadcast to the tensor that is quantized.</param>
/// <param name="ZeroPoint">Code z of the value zero, in the shape of the scale; null for a symmetric grid.</param>
/// <param name="Lowest">Smallest code.</param>
/// <param name="Highest">Largest code.</param>
public sealed record UniformQuantizer(Tensor Scale, Tensor? ZeroPoint, int Lowest, int Highest) : ITensorQuantizer
{
    // Below this many values under one scale the tensor operators are as fast.
    private const long SmallestGroup = 8;

    /// <summary>The codes of a tensor, as whole numbers of the tensor's own type.</summary>
    public Tensor Encode(Tensor values)
    {
        using var scope = torch.NewDisposeScope();
        var codes = values.div(Scale).round_();
        codes = ZeroPoint is null ? codes : codes.add_(ZeroPoint);
        return codes.clamp_(Lowest, Highest).MoveToOuterDisposeScope();
    }

    /// <summary>The values that codes stand for.</summary>
    public Tensor Decode(Tensor codes)
    {
        if (ZeroPoint is null)
        {
            return codes * Scale;
        }

        using var centred = codes - ZeroPoint;
        return centred * Scale;
    }

    /// <inheritdoc />
    public Tensor FakeQuantize(Tensor values)
    {
        using var scope = torch.NewDisposeScope();
        var dense = values.is_contiguous() ? values : values.contiguous();
        if (LeadingGroups(dense) is not { } groups)
        {
            return Decode(Encode(dense)).MoveToOuterDisposeScope();
        }

        // A copy that was made for this may be overwritten.
        var result = ReferenceEquals(dense, values) ? torch.empty_like(values) : dense;
        if (values.NumberOfElements > 0)
        {
            VectorKernel.Map(dense, result, Operations(groups));
        }

        return result.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The sizes of the leading axes along which the scale varies, when the kernel can do the work; null when the tensor
    /// operators have to.
    /// </summary>
    internal long[]? LeadingGroups(Tensor values)
    {
        var (shape, scale) = (values.shape, Scale.shape);
        if (!VectorKernel.CanRead(values)
            || !VectorKernel.CanRead(Scale)
            || scale.Length > shape.Length
            || (ZeroPoint is { } zero && (!VectorKernel.CanRead(zero) || !zero.shape.AsSpan().SequenceEqual(scale))))
        {
            return null;
        }

        var last = Array.FindLastIndex(scale, size => size != 1) + shape.Length - scale.Length;
        var groups = Array.TrueForAll(scale, size => size == 1) ? [] : shape[..(last + 1)];
        var fits = scale.Select((size, axis) => size == 1 || size == shape[axis + shape.Length - scale.Length]).All(it => it);
        var groupSize = shape[groups.Length..].Aggregate(1L, (product, size) => product * size);
        return fits && (groups.Length == 0 || groupSize >= SmallestGroup) ? groups : null;
    }

    /// <summary>Hands the grid's tensors to the enclosing dispose scope.</summary>
    internal void MoveToOuterDisposeScope()
    {
        Scale.MoveToOuterDisposeScope();
        ZeroPoint?.MoveToOuterDisposeScope();
    }

    private UniformOperation[] Operations(long[] groups)
    {
        var scales = Repeat(Scale, groups);
        var zeroPoints = ZeroPoint is null ? null : Repeat(ZeroPoint, groups);
        var operations = new UniformOperation[scales.Length];
        for (var group = 0; group < operations.Length; group++)
        {
            operations[group] = new(scales[group], zeroPoints?[group], Lowest, Highest);
        }

        return operations;
    }

    private static float[] Repeat(Tensor parameter, long[] groups)
    {
        using var scope = torch.NewDisposeScope();
        var shape = parameter.shape;
        var leading = shape[..Math.Min(shape.Length, Array.FindLastIndex(shape, size => size != 1) + 1)];
        return VectorKernel.Values(groups.Length == 0
            ? parameter.flatten()
            : parameter.reshape(leading).expand(groups).contiguous());
    }
}

/// <summary>Over which elements a dynamic activation range is taken.</summary>
public enum ActivationScope
{
    /// <summary>All elements of the mini-batch: results depend on the batch size.</summary>
    Batch,

    /// <summary>Each image by itself: results do not depend on the batch.</summary>
    Image,

    /// <summary>Each token by itself.</summary>
    Token,
}

/// <summary>Over which elements a weight scale is taken.</summary>
public enum WeightGranularity
{
    /// <summary>Each output row has its own scale.</summary>
    Row,

    /// <summary>One scale for the matrix.</summary>
    Tensor,
}

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
