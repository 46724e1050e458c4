using RegCache.Lab.Quantization.Kernels;

namespace RegCache.Lab.Quantization;

/// <summary>
/// A uniform quantizer with its parameters: codes <c>q = clip(round(x / s) + z, lowest, highest)</c>, values
/// <c>(q - z) s</c>, rounding half to even.
/// </summary>
/// <param name="Scale">Step s, broadcast to the tensor that is quantized.</param>
/// <param name="ZeroPoint">Code z of the value zero, in the shape of the scale; null for a symmetric grid.</param>
/// <param name="Lowest">Smallest code.</param>
/// <param name="Highest">Largest code.</param>
public sealed record UniformQuantizer(Tensor Scale, Tensor? ZeroPoint, int Lowest, int Highest)
    : ITensorQuantizer, ITensorHolder
{
    // Below this many values under one scale the tensor operators are as fast.
    private const long SmallestGroup = 8;

    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => ZeroPoint is null ? [Scale] : [Scale, ZeroPoint];

    /// <summary>The codes of a tensor, as whole numbers of the tensor's own type.</summary>
    public Tensor Encode(Tensor values) => TensorScope.Run(() =>
    {
        var codes = values.div(Scale).round_();
        codes = ZeroPoint is null ? codes : codes.add_(ZeroPoint);
        return codes.clamp_(Lowest, Highest);
    });

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

    // The parameter's value in every group, in the order in which groups lie in memory.
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
