namespace RegCache.Lab.Encoders;

/// <summary>The plain two-layer MLP <c>Out(activation(In(x)))</c>.</summary>
/// <param name="In">First linear layer, `mlp.c_fc` [R*C,C].</param>
/// <param name="Activation">The non-linearity.</param>
/// <param name="Out">Second linear layer, `mlp.c_proj` [C,R*C].</param>
public sealed record FeedForward(ILinear In, Activation Activation, ILinear Out) : IMlp
{
    /// <inheritdoc />
    public bool IsRowwise => In.IsRowwise && Out.IsRowwise;

    /// <inheritdoc />
    public Tensor Apply(Tensor input, BlockProbe probe)
    {
        using var wide = In.Apply(input);
        probe.Observe(ActivationKind.MlpIn, wide);
        using var hidden = Activation.Apply(wide);
        probe.Observe(ActivationKind.MlpHidden, hidden);
        return Out.Apply(hidden);
    }
}
