using System.Diagnostics;

namespace RegCache.Lab.Quantization;

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

/// <summary>Uniform grids that cover the whole range of a tensor (docs/methods/quantizers.md, "Naive").</summary>
public static class MinMaxRange
{
    private const double SmallestRange = 1e-6;

    /// <summary>Symmetric signed grid of an activation [B,N,C] or [B,..]: <c>s = max(max|x|, 1e-6) / (2^(b-1) - 1)</c>.</summary>
    /// <param name="values">The activation; its first axis is the image.</param>
    /// <param name="bits">Bit-width 2..8.</param>
    /// <param name="scope">Over which elements the maximum is taken.</param>
    public static UniformQuantizer Symmetric(Tensor values, int bits, ActivationScope scope) => TensorScope.Run(() =>
    {
        var (low, high) = Extremes(values, scope);
        return SymmetricFrom(torch.maximum(high, low.neg()), bits);
    });

    /// <summary>
    /// Asymmetric unsigned grid of an activation, its range widened to contain zero:
    /// <c>s = max(hi - lo, 1e-6) / (2^b - 1)</c>, <c>z = clip(round(-lo / s), 0, 2^b - 1)</c>.
    /// </summary>
    /// <param name="values">The activation; its first axis is the image.</param>
    /// <param name="bits">Bit-width 2..8.</param>
    /// <param name="scope">Over which elements the range is taken.</param>
    public static UniformQuantizer Asymmetric(Tensor values, int bits, ActivationScope scope) => TensorScope.Run(() =>
    {
        var levels = (1 << bits) - 1;
        var (low, high) = Extremes(values, scope);
        (low, high) = (low.clamp(max: 0), high.clamp(min: 0));
        var width = high - low;
        // The difference of two huge numbers overflows where the difference of their parts does not.
        var scale = torch.where(width.isinf(), (high / levels) - (low / levels), width.clamp(min: SmallestRange) / levels);
        return new UniformQuantizer(scale, (low.neg() / scale).round().clamp(0, levels), 0, levels);
    });

    /// <summary>Symmetric signed grid of a weight matrix [out,in].</summary>
    /// <param name="weight">The weights.</param>
    /// <param name="bits">Bit-width 2..8.</param>
    /// <param name="granularity">One scale for each row [out,1], or one for all [1,1].</param>
    public static UniformQuantizer Symmetric(Tensor weight, int bits, WeightGranularity granularity) => TensorScope.Run(() =>
    {
        long[] axes = granularity == WeightGranularity.Row ? [1] : [0, 1];
        return SymmetricFrom(weight.abs().amax(axes, keepdim: true), bits);
    });

    private static UniformQuantizer SymmetricFrom(Tensor largest, int bits)
    {
        var highest = (1 << (bits - 1)) - 1;
        return new(largest.clamp(min: SmallestRange) / highest, null, -highest - 1, highest);
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
            case ActivationScope.Token:
                return (values.amin([-1], keepdim: true), values.amax([-1], keepdim: true));
            default:
                throw new UnreachableException();
        }
    }
}

/// <summary>Refuses to take ranges from NaN or infinite values.</summary>
internal static class FiniteCheck
{
    /// <summary>Checks an activation by its range, which is NaN or infinite as soon as one value is.</summary>
    /// <param name="range">Scale, minimum or maximum of the values.</param>
    /// <param name="values">The activation; its first axis is the image.</param>
    /// <param name="name">The layer whose input it is.</param>
    /// <param name="firstImage">Index of the first image in the set.</param>
    /// <exception cref="UserException">The range is not finite; the message names the layer and the image.</exception>
    public static void Require(Tensor range, Tensor values, string name, int firstImage = 0)
    {
        using var scope = torch.NewDisposeScope();
        if (range.isfinite().all().item<bool>())
        {
            return;
        }

        var damaged = values.isfinite().logical_not().flatten(1).any(1).to(torch.ScalarType.Int32).argmax().item<long>();
        throw Refusal(name, firstImage + damaged);
    }

    /// <summary>What is said of an activation that is not finite.</summary>
    /// <param name="name">The layer whose input it is.</param>
    /// <param name="image">Index of the image.</param>
    public static UserException Refusal(string name, long image) => new(
        $"The input of {name} holds NaN or infinite values in image {image} of the batch, so it has no range; check that image and the weights before this layer.");
}
