using System.Runtime.Intrinsics;
using RegCache.Lab.Quantization.Kernels;
using RegCache.Lab.Quantization.Storage;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>
/// PTQ4ViT's quantizer of GELU outputs: one step for positive values, and a fixed one that covers the small negative
/// range of the function, <c>Q = 2^(b-1)</c> codes each (PTQ4ViT, section 3.2).
/// </summary>
/// <param name="Scale">Step of the positive range.</param>
/// <param name="Bits">Bit-width b.</param>
public sealed record PostGeluQuantizer(float Scale, int Bits) : ITensorQuantizer
{
    // The depth of GELU's minimum. QuickGELU's is 0.1636, which the same range covers.
    private const double Depth = 0.16997124254703522;

    /// <summary>Step of the negative range.</summary>
    public float NegativeScale => (float)(Depth / Codes);

    /// <summary>How it is written to files.</summary>
    internal static QuantizerFormat Format { get; } = new(
        "post_gelu",
        quantizer => quantizer is PostGeluQuantizer twin ? (twin.Scale, twin.Bits) : null,
        (scale, bits) => new PostGeluQuantizer(scale, bits));

    private int Codes => 1 << (Bits - 1);

    /// <inheritdoc />
    public Tensor FakeQuantize(Tensor values)
    {
        if (VectorKernel.CanRead(values))
        {
            var result = torch.empty_like(values);
            VectorKernel.Map(values, result, [new Operation(this)]);
            return result;
        }

        return TensorScope.Run(() =>
        {
            var positive = values.div(Scale).round_().clamp_(0, Codes - 1).mul_(Scale);
            var negative = values.div(NegativeScale).round_().clamp_(-Codes, 0).mul_(NegativeScale);
            return positive.add_(negative);
        });
    }

    /// <summary>The quantizer in one pass.</summary>
    internal readonly struct Operation(PostGeluQuantizer quantizer) : IVectorOperation
    {
        private readonly UniformOperation _positive = new(quantizer.Scale, null, 0, quantizer.Codes - 1);
        private readonly UniformOperation _negative = new(quantizer.NegativeScale, null, -quantizer.Codes, 0);

        public Vector512<float> Apply(Vector512<float> values) => _positive.Apply(values) + _negative.Apply(values);
    }
}

/// <summary>How the two ranges of the softmax quantizer are combined (docs/methods/quantizers.md, "Twin uniform quantization").</summary>
public enum SoftmaxTwin
{
    /// <summary>As in the released code: the sum of both ranges, so values above the split come out larger by about the split.</summary>
    Released,

    /// <summary>As in the paper: values below the split take the fine range, the others the coarse one.</summary>
    Paper,
}

/// <summary>
/// PTQ4ViT's quantizer of attention probabilities: a fine grid with step <c>p / (Q-1)</c> up to the split p and a coarse
/// grid with step <c>1 / (Q-1)</c> above, <c>Q = 2^(b-1)</c> (PTQ4ViT, section 3.2).
/// </summary>
/// <param name="Split">The split p, a power of two.</param>
/// <param name="Bits">Bit-width b.</param>
/// <param name="Form">How the two ranges are combined.</param>
public sealed record SoftmaxTwinQuantizer(float Split, int Bits, SoftmaxTwin Form) : ITensorQuantizer
{
    /// <summary>Step of the fine range.</summary>
    public float FineScale => Split / Highest;

    /// <summary>How both forms are written to files.</summary>
    internal static IReadOnlyList<QuantizerFormat> Formats { get; } =
        [FormatOf("softmax_twin_released", SoftmaxTwin.Released), FormatOf("softmax_twin_paper", SoftmaxTwin.Paper)];

    private float Highest => (1 << (Bits - 1)) - 1;

    /// <inheritdoc />
    public Tensor FakeQuantize(Tensor values)
    {
        if (VectorKernel.CanRead(values))
        {
            var result = torch.empty_like(values);
            VectorKernel.Map(values, result, [new Operation(this)]);
            return result;
        }

        return TensorScope.Run(() =>
        {
            var high = values.clamp(Split, 1).mul_(Highest).round_().clamp_(0, Highest).div_(Highest);
            var low = values.clamp(0, Split).div_(FineScale).round_().clamp_(0, Highest).mul_(FineScale);
            return Form == SoftmaxTwin.Released ? high.add_(low) : torch.where(values.lt(Split), low, high);
        });
    }

    private static QuantizerFormat FormatOf(string kind, SoftmaxTwin form) => new(
        kind,
        quantizer => quantizer is SoftmaxTwinQuantizer twin && twin.Form == form ? (twin.Split, twin.Bits) : null,
        (split, bits) => new SoftmaxTwinQuantizer(split, bits, form));

    /// <summary>The quantizer in one pass.</summary>
    internal readonly struct Operation : IVectorOperation
    {
        private readonly Vector512<float> _split, _fine, _highest;
        private readonly bool _isSum;

        public Operation(SoftmaxTwinQuantizer quantizer)
        {
            (_split, _fine) = (Vector512.Create(quantizer.Split), Vector512.Create(quantizer.FineScale));
            (_highest, _isSum) = (Vector512.Create(quantizer.Highest), quantizer.Form == SoftmaxTwin.Released);
        }

        public Vector512<float> Apply(Vector512<float> values)
        {
            var high = Clamp(Vector512.Round(Clamp(values, _split, Vector512<float>.One) * _highest), Vector512<float>.Zero, _highest) / _highest;
            var low = Clamp(Vector512.Round(Clamp(values, Vector512<float>.Zero, _split) / _fine), Vector512<float>.Zero, _highest) * _fine;
            return _isSum ? high + low : Vector512.ConditionalSelect(Vector512.LessThan(values, _split), low, high);
        }

        private static Vector512<float> Clamp(Vector512<float> values, Vector512<float> lowest, Vector512<float> highest) =>
            Vector512.MinNative(highest, Vector512.MaxNative(lowest, values));
    }
}
