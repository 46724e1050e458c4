using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Integer;

/// <summary>The float or bfloat16 linear layer on oneDNN, with weights in its order.</summary>
/// <param name="name">The layer's name, for messages.</param>
/// <param name="plain">The layer.</param>
internal sealed class PackedLinear(string name, Linear plain) : OneDnnLinear(name, PackedMatrix.Pack(plain.Weight), plain.Bias)
{
    /// <inheritdoc />
    public override Tensor Weight => Matrix.Unpack();

    /// <inheritdoc />
    public override bool IsRowwise => true;
}
