using RegCache.Lab.Quantization.Kernels;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>
/// The candidate scales of PTQ4ViT, <c>D_i = D0 (a + i (c - a) / n)</c> for i = 0..n-1. As in the released code the factor c
/// itself is not among them.
/// </summary>
/// <param name="Lowest">Smallest factor a.</param>
/// <param name="Highest">Factor c, which the list stops short of.</param>
/// <param name="Count">Number of candidates n.</param>
public sealed record SearchRange(double Lowest, double Highest, int Count)
{
    private const int Splits = 20;
    private const float SmallestNormal = 1.17549435e-38f;

    /// <summary>The initial scale <c>D0 = max / (2^(b-1) - 0.5)</c>, kept above the smallest normal number.</summary>
    /// <param name="largest">The largest value or magnitude.</param>
    /// <param name="bits">Bit-width b.</param>
    public static float Initial(float largest, int bits) =>
        Math.Max(largest / ((1 << (bits - 1)) - 0.5f), SmallestNormal);

    /// <summary>Candidate scale i.</summary>
    public float Scale(float initial, int index) => (float)(Lowest + (index * (Highest - Lowest) / Count)) * initial;

    internal ICandidates Uniform(float initial, int bits, torch.Device device)
    {
        var half = 1 << (bits - 1);
        return new Candidates<UniformOperation>(
            Count,
            index => Grid([Scale(initial, index)], bits, device),
            index => new(Scale(initial, index), null, -half, half - 1));
    }

    internal ICandidates PostGelu(float initial, int bits) => new Candidates<PostGeluQuantizer.Operation>(
        Count,
        index => new PostGeluQuantizer(Scale(initial, index), bits),
        index => new(new(Scale(initial, index), bits)));

    /// <summary>The splits 1, 1/2, 1/4, .. of the softmax quantizer.</summary>
    internal static ICandidates SoftmaxSplits(int bits, SoftmaxTwin form)
    {
        SoftmaxTwinQuantizer Quantizer(int index) => new(MathF.ScaleB(1, -index), bits, form);
        return new Candidates<SoftmaxTwinQuantizer.Operation>(Splits, Quantizer, index => new(Quantizer(index)));
    }

    /// <summary>The symmetric signed grid with codes -2^(b-1) .. 2^(b-1) - 1.</summary>
    /// <param name="scales">One scale, or one for each head.</param>
    /// <param name="bits">Bit-width b.</param>
    /// <param name="device">Where the grid is used.</param>
    /// <param name="shape">Shape of the scale tensor; by default as many axes of length one as the scales need.</param>
    internal static UniformQuantizer Grid(float[] scales, int bits, torch.Device device, params long[] shape)
    {
        var half = 1 << (bits - 1);
        var tensor = torch.tensor(scales, device: device).reshape(shape.Length == 0 ? [1] : shape);
        return new(tensor, null, -half, half - 1);
    }
}

/// <summary>The quantizers among which a search chooses.</summary>
internal interface ICandidates
{
    int Count { get; }

    ITensorQuantizer this[int index] { get; }

    /// <summary>Fake-quantizes the same values by some of the candidates, [I,..] to [I,K,..].</summary>
    Tensor Expand(Tensor values, int[] chosen);
}

/// <summary>Candidates with a kernel that quantizes by many of them in one go.</summary>
internal sealed class Candidates<TOperation>(
    int count, Func<int, ITensorQuantizer> quantizer, Func<int, TOperation> operation) : ICandidates
    where TOperation : struct, IVectorOperation
{
    public int Count => count;

    public ITensorQuantizer this[int index] => quantizer(index);

    public Tensor Expand(Tensor values, int[] chosen)
    {
        if (VectorKernel.CanRead(values))
        {
            var shape = values.shape;
            var result = torch.empty([shape[0], chosen.Length, .. shape[1..]]);
            VectorKernel.Expand(values, result, shape[0], Array.ConvertAll(chosen, candidate => operation(candidate)));
            return result;
        }

        return TensorScope.Run(() => torch.stack(chosen.Select(candidate => quantizer(candidate).FakeQuantize(values)), 1));
    }
}
