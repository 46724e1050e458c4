using System.Runtime.Intrinsics;
using RegCache.Lab.Quantization.Kernels;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>
/// PTQ4ViT's quantizer of GELU outputs: one step for positive values, and a fixed one that covers the small negative
/// range of the function, <c>Q = 2^(b-1)</c> codes each (quantizers.md, section 2.5).
/// </summary>
/// <param name="Scale">Step of the positive range.</param>
/// <param name="Bits">Bit-width b.</param>
public sealed record PostGeluQuantizer(float Scale, int Bits) : ITensorQuantizer
{
    // The depth of GELU's minimum. QuickGELU's is 0.1636, which the same range covers.
    private const double Depth = 0.16997124254703522;

    /// <summary>Step of the negative range.</summary>
    public float NegativeScale => (float)(Depth / Codes);

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

        using var scope = torch.NewDisposeScope();
        var positive = values.div(Scale).round_().clamp_(0, Codes - 1).mul_(Scale);
        var negative = values.div(NegativeScale).round_().clamp_(-Codes, 0).mul_(NegativeScale);
        return positive.add_(negative).MoveToOuterDisposeScope();
    }

    /// <summary>The quantizer in one pass.</summary>
    internal readonly struct Operation(PostGeluQuantizer quantizer) : IVectorOperation
    {
        private readonly UniformOperation _positive = new(quantizer.Scale, null, 0, quantizer.Codes - 1);
        private readonly UniformOperation _negative = new(quantizer.NegativeScale, null, -quantizer.Codes, 0);

        public Vector512<float> Apply(Vector512<float> values) => _positive.Apply(values) + _negative.Apply(values);
    }
}
