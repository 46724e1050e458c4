namespace RegCache.Lab.Encoders;

/// <summary>The float linear layer <c>y = x W^T + b</c>.</summary>
/// <param name="Weight">Weights [out,in].</param>
/// <param name="Bias">Bias [out], or null.</param>
public sealed record Linear(Tensor Weight, Tensor? Bias) : ILinear
{
    /// <inheritdoc />
    public bool IsRowwise => true;

    /// <inheritdoc />
    public Tensor Apply(Tensor input) => torch.nn.functional.linear(input, Weight, Bias);
}
