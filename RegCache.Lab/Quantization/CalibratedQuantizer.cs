using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>A quantizer with calibrated ranges: everything that a calibration found. Compares by identity.</summary>
/// <param name="method">The method and its settings, for reports.</param>
/// <param name="patches">The patch embedding; null leaves it float.</param>
/// <param name="blocks">The blocks, in order.</param>
public sealed class CalibratedQuantizer(string method, CalibratedPatches? patches, IReadOnlyList<CalibratedBlock> blocks) : IQuantizer
{
    /// <summary>The method and its settings, for reports.</summary>
    public string Method { get; } = method;

    /// <summary>The patch embedding; null leaves it float.</summary>
    public CalibratedPatches? Patches { get; } = patches;

    /// <summary>The blocks, in order.</summary>
    public IReadOnlyList<CalibratedBlock> Blocks { get; } = blocks;

    /// <inheritdoc />
    public BlockLayers Apply(int block, BlockLayers plain) => Blocks[block].Apply(block, plain);

    /// <inheritdoc />
    public PatchEmbedding Apply(PatchEmbedding plain) => Patches?.Apply(plain) ?? plain;

    /// <inheritdoc />
    public ILayerTransform Only(LinearKind layer) => new CalibratedQuantizer(
        $"{Method}, {layer.Name()} alone", null, [.. Blocks.Select(block => block.Only(layer))]);

    /// <inheritdoc />
    public (ITensorQuantizer Quantizer, ScaleReparameterization? Shift)? InputOf(int block, LinearKind layer) =>
        Blocks[block].Linears.TryGetValue(layer, out var linear) ? (linear.Input, linear.Shift) : null;

    /// <inheritdoc />
    public EncoderPlan ApplyTo(EncoderPlan plan) => plan with
    {
        Embedding = Patches,
        Blocks = [.. plan.Blocks.Select((block, index) => block with { Transform = Blocks[index] })],
    };

    /// <inheritdoc />
    public override string ToString() => Method;
}
