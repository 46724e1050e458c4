using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>
/// RepQ-ViT's scale reparameterization: a scale r and an offset t of every channel move from a LayerNorm into the linear layer
/// behind it, <c>LN' = LN / r - t</c>, <c>W' = W r</c>, <c>b' = b + W' t</c>. The float function stays the same, but one grid
/// fits all channels in between (docs/methods/quantizers.md, "Scale reparameterization").
/// </summary>
/// <param name="Ratio">r [C].</param>
/// <param name="Offset">t [C].</param>
public sealed record ScaleReparameterization(Tensor Ratio, Tensor Offset) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => [Ratio, Offset];

    /// <summary>
    /// Turns a grid for every channel into one for the tensor. Its scale and zero point are the means of the channels'; the
    /// zero point is not rounded, as in the released code.
    /// </summary>
    /// <param name="channels">Grids of the channels, scale and zero point [1,1,C].</param>
    /// <returns>The grid of the tensor, and what has to move for it.</returns>
    public static (UniformQuantizer Grid, ScaleReparameterization Reparameterization) Of(UniformQuantizer channels) => TensorScope.Run(() =>
    {
        var (scales, zeroPoints) = (channels.Scale.flatten(), channels.ZeroPoint!.flatten());
        var (scale, zeroPoint) = (scales.mean(), zeroPoints.mean());
        var ratio = scales / scale;
        var offset = (zeroPoints * scales / ratio).neg() + (zeroPoint * scale);
        return (
            new UniformQuantizer(scale.view(1), zeroPoint.view(1), channels.Lowest, channels.Highest),
            new ScaleReparameterization(ratio, offset));
    });

    /// <summary>The LayerNorm whose output is divided by r and lowered by t.</summary>
    public LayerNorm Apply(LayerNorm norm)
    {
        var (weight, bias) = TensorScope.Run(() => (norm.Weight / Ratio, (norm.Bias / Ratio) - Offset));
        return norm with { Weight = weight, Bias = bias };
    }

    /// <summary>The linear layer that takes over what the LayerNorm has lost.</summary>
    public Linear Apply(ILinear linear)
    {
        var (weight, bias) = TensorScope.Run(() =>
        {
            var weight = QuantizedLinear.Wide(linear.Weight) * Ratio;
            var offset = weight.mv(Offset);
            var bias = linear.Bias is { } plain ? plain + offset : offset;
            return (weight.to(linear.Weight.dtype), bias.to(linear.Weight.dtype));
        });
        return new(weight, bias);
    }

    /// <summary>The output of the changed LayerNorm, <c>LN' = LN / r - t</c>.</summary>
    /// <param name="plain">Output of the plain LayerNorm [..,C].</param>
    public Tensor Move(Tensor plain) => (plain / Ratio).sub_(Offset);

    /// <summary>The output of the plain LayerNorm, <c>LN = (LN' + t) r</c>.</summary>
    /// <param name="moved">Output of the changed LayerNorm [..,C].</param>
    public Tensor Undo(Tensor moved) => (moved + Offset).mul_(Ratio);
}
