using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>Replaces the values of a tensor by those that a quantizer can represent.</summary>
public interface ITensorQuantizer
{
    /// <summary>Quantizes and dequantizes: the values that integer arithmetic would see, in the input's shape.</summary>
    Tensor FakeQuantize(Tensor values);
}

/// <summary>A quantizer of a whole encoder, ready to run.</summary>
public interface IQuantizer : ILayerTransform
{
    /// <summary>The same quantizer with one kind of linear layer switched on and everything else left in float.</summary>
    ILayerTransform Only(LinearKind layer);

    /// <summary>
    /// How the input of a linear layer is quantized, for those who look into it, and what the LayerNorm before it has handed
    /// over to the layer; null where the input stays float.
    /// </summary>
    (ITensorQuantizer Quantizer, ScaleReparameterization? Reparameterization)? InputOf(int block, LinearKind layer);

    /// <summary>The plan with every layer under this quantizer; its stages, prefix and so on stay as they are.</summary>
    EncoderPlan ApplyTo(EncoderPlan plan) => plan.From(0, block => block with { Transform = this }) with { Embedding = this };
}

/// <summary>Finds the ranges of a quantizer for one way to run the encoder.</summary>
public interface ICalibrator
{
    /// <summary>How often a search should calibrate, unless it is told otherwise.</summary>
    Recalibration Recalibration { get; }

    /// <summary>
    /// Calibrates on the forward pass of the plan: its token stages and prefixes are active, so that the ranges are those of
    /// the stream that will be quantized. The transforms of the plan are ignored.
    /// </summary>
    /// <exception cref="UserException">An activation is not finite; the message names its layer and image.</exception>
    IQuantizer Calibrate(EncoderPlan plan);

    /// <summary>Names the family, its settings and its images: equal texts mean equal results.</summary>
    string ToString();
}

/// <summary>How often a search over token settings calibrates the quantizer.</summary>
public enum Recalibration
{
    /// <summary>Never: ranges are taken afresh from every batch.</summary>
    Never,

    /// <summary>Once for each extraction block, then again for the best settings, among which the search decides.</summary>
    TwoPass,

    /// <summary>For every setting.</summary>
    Every,
}

/// <summary>
/// How the operands of a block's two attention products are quantized. Prefix keys and values stay float; the softmax
/// columns that belong to them are quantized with the rest.
/// </summary>
/// <param name="Query">Quantizer of the queries [B,H,M,d].</param>
/// <param name="Key">Quantizer of the block's own keys [B,H,N,d].</param>
/// <param name="Probabilities">Quantizer of the softmax output [B,H,M,P+N].</param>
/// <param name="Value">Quantizer of the block's own values [B,H,N,d].</param>
public sealed record AttentionProducts(
    ITensorQuantizer Query, ITensorQuantizer Key, ITensorQuantizer Probabilities, ITensorQuantizer Value) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => TensorScope.TensorsOf((Query, Key, Probabilities, Value));
}
