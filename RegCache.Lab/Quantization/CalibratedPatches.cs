using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>The calibrated quantizers of the patch embedding. Compares by identity.</summary>
/// <param name="input">Quantizer of the images; null leaves them float.</param>
/// <param name="weight">Grid of the weights [C,3,p,p].</param>
public sealed class CalibratedPatches(ITensorQuantizer? input, UniformQuantizer weight) : ILayerTransform
{
    /// <summary>Quantizer of the images; null leaves them float.</summary>
    public ITensorQuantizer? Input { get; } = input;

    /// <summary>Grid of the weights [C,3,p,p].</summary>
    public UniformQuantizer Weight { get; } = weight;

    /// <inheritdoc />
    public BlockLayers Apply(int block, BlockLayers plain) => plain;

    /// <inheritdoc />
    public PatchEmbedding Apply(PatchEmbedding plain)
    {
        using var scope = torch.NewDisposeScope();
        var weight = Weight.FakeQuantize(QuantizedLinear.Wide(plain.Weight)).to(plain.Weight.dtype);
        return plain with
        {
            Weight = weight.MoveToOuterDisposeScope(),
            Input = Input is null ? null : images => Input.FakeQuantize(QuantizedLinear.Wide(images)).to(images.dtype),
        };
    }
}
