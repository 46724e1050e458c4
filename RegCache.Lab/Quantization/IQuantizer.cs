using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>A baseline quantizer, ready to run.</summary>
public interface IQuantizer : ILayerTransform
{
    /// <summary>The same quantizer with one kind of linear layer switched on and everything else left in float.</summary>
    ILayerTransform Only(LinearKind layer);

    /// <summary>How the input of a linear layer is quantized, for those who look into it; null where it stays float.</summary>
    (ITensorQuantizer Quantizer, ScaleReparameterization? Shift)? InputOf(int block, LinearKind layer);

    /// <summary>The plan with every layer under this quantizer; its stages, prefix and so on stay as they are.</summary>
    EncoderPlan ApplyTo(EncoderPlan plan) => plan.From(0, block => block with { Transform = this }) with { Embedding = this };
}
