using System.Runtime.Intrinsics;
using RegCache.Lab.Quantization.Kernels;
using RegCache.Lab.Quantization.Storage;

namespace RegCache.Lab.Quantization.RepqVit;

/// <summary>
/// RepQ-ViT's quantizer of attention probabilities: powers of the square root of one half,
/// <c>u = round(-2 log2(a / D))</c>, value <c>D 2^(-u/2)</c>; zero from <c>u = 2^b</c> on.
/// </summary>
/// <param name="Scale">Largest value D.</param>
/// <param name="Bits">Bit-width b.</param>
public sealed record LogSqrt2Quantizer(float Scale, int Bits) : ITensorQuantizer
{
    private const float Root = 1.41421356f;

    /// <summary>How it is written to files.</summary>
    internal static QuantizerFormat Format { get; } = new(
        "log_sqrt2",
        quantizer => quantizer is LogSqrt2Quantizer own ? (own.Scale, own.Bits) : null,
        (scale, bits) => new LogSqrt2Quantizer(scale, bits));

    private int Levels => 1 << Bits;

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
            var codes = values.div(Scale).log2_().mul_(-2).round_();
            var isZero = codes.ge(Levels);
            codes.clamp_(0, Levels - 1);
            var halves = codes.div(2).ceil_();
            var isOdd = (halves * 2).ne(codes);
            var powers = halves.neg_().exp2();
            return torch.where(isOdd, powers * Root, powers).mul_(Scale).masked_fill(isZero, 0);
        });
    }

    /// <summary>The quantizer in one pass: logarithm and power are read from and written to the exponent bits.</summary>
    internal readonly struct Operation(LogSqrt2Quantizer quantizer) : IVectorOperation
    {
        // A power of two that lifts the smallest denormal to a normal number.
        private const int Lift = 64;
        private const int MantissaBits = 23, MantissaMask = (1 << MantissaBits) - 1, Bias = 127;

        // Mantissas of 2^(1/4) and 2^(3/4): between them -2 log2 rounds to an odd code.
        private static readonly int _lower = BitConverter.SingleToInt32Bits(1.18920712f) & MantissaMask;
        private static readonly int _upper = BitConverter.SingleToInt32Bits(1.68179283f) & MantissaMask;

        private readonly Vector512<float> _scale = Vector512.Create(quantizer.Scale);
        private readonly Vector512<int> _levels = Vector512.Create(quantizer.Levels);

        public Vector512<float> Apply(Vector512<float> values)
        {
            var bits = (values / _scale * MathF.ScaleB(1, Lift)).AsInt32();
            var exponents = (bits >> MantissaBits) - Vector512.Create(Bias + Lift);
            var mantissas = bits & Vector512.Create(MantissaMask);
            // A comparison is -1 where it holds.
            var codes = (exponents * -2)
                + Vector512.GreaterThanOrEqual(mantissas, Vector512.Create(_lower))
                + Vector512.GreaterThanOrEqual(mantissas, Vector512.Create(_upper));
            var isZero = Vector512.GreaterThanOrEqual(codes, _levels);
            codes = Vector512.Max(Vector512<int>.Zero, Vector512.Min(codes, _levels - Vector512<int>.One));
            var halves = (codes + Vector512<int>.One) >> 1;
            var first = halves >> 1;
            var roots = Vector512.ConditionalSelect(
                Vector512.Equals(halves + halves, codes), Vector512<float>.One.AsInt32(), Vector512.Create(Root).AsInt32()).AsSingle();
            var result = Power(first) * Power(halves - first) * roots * _scale;
            result = Vector512.AndNot(result, isZero.AsSingle());
            return Vector512.ConditionalSelect(Vector512.Equals(values, values), result, values);
        }

        // 2^-n for 0 <= n <= 126.
        private static Vector512<float> Power(Vector512<int> halves) =>
            ((Vector512.Create(Bias) - halves) << MantissaBits).AsSingle();
    }
}
