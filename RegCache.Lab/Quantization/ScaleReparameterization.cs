using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>
/// Moves a scale r and an offset t of every channel from a LayerNorm into the linear layer behind it, which leaves the
/// float function unchanged: <c>LN' = LN / r - t</c>, <c>W' = W r</c>, <c>b' = b + W' t</c> (quantizers.md, section 3.4).
/// </summary>
/// <param name="Ratio">r [C].</param>
/// <param name="Offset">t [C].</param>
public sealed record ScaleReparameterization(Tensor Ratio, Tensor Offset)
{
    /// <summary>The LayerNorm whose output is divided by r and lowered by t.</summary>
    public LayerNorm Apply(LayerNorm norm)
    {
        using var scope = torch.NewDisposeScope();
        var weight = norm.Weight / Ratio;
        var bias = (norm.Bias / Ratio) - Offset;
        return norm with { Weight = weight.MoveToOuterDisposeScope(), Bias = bias.MoveToOuterDisposeScope() };
    }

    /// <summary>What the LayerNorm gives then: <c>LN' = LN / r - t</c>.</summary>
    /// <param name="plain">Output of the LayerNorm [..,C].</param>
    public Tensor Move(Tensor plain) => (plain / Ratio).sub_(Offset);

    /// <summary>What the LayerNorm gave before: <c>LN = (LN' + t) r</c>.</summary>
    /// <param name="shifted">Output of the shifted LayerNorm [..,C].</param>
    public Tensor Undo(Tensor shifted) => (shifted + Offset).mul_(Ratio);

    /// <summary>The linear layer that undoes it.</summary>
    public Linear Apply(ILinear linear)
    {
        using var scope = torch.NewDisposeScope();
        var weight = QuantizedLinear.Wide(linear.Weight) * Ratio;
        var undo = weight.mv(Offset);
        var bias = linear.Bias is { } plain ? plain + undo : undo;
        return new(
            weight.to(linear.Weight.dtype).MoveToOuterDisposeScope(), bias.to(linear.Weight.dtype).MoveToOuterDisposeScope());
    }
}
