namespace RegCache.Lab.Quantization.Integer;

/// <summary>A weight matrix [out,in] in the order that oneDNN chose for this processor.</summary>
/// <param name="Factors">Its number type.</param>
/// <param name="Outputs">Rows.</param>
/// <param name="Inputs">Columns.</param>
/// <param name="Padded">Elements that arrays over the outputs have, beside the <see cref="Margin"/>.</param>
/// <param name="Memory">The packed weights, bytes.</param>
internal sealed record PackedMatrix(Factors Factors, int Outputs, int Inputs, int Padded, Tensor Memory)
{
    /// <summary>Elements behind the end of arrays over the outputs that the kernels read without using them.</summary>
    public const int Margin = 16;

    /// <summary>The number type of the weights as a tensor.</summary>
    public torch.ScalarType Type => Factors switch
    {
        Factors.Float => torch.ScalarType.Float32,
        Factors.Bfloat => torch.ScalarType.BFloat16,
        _ => torch.ScalarType.Int8,
    };

    /// <summary>Packs a matrix of float32, bfloat16 or int8.</summary>
    public static unsafe PackedMatrix Pack(Tensor weights)
    {
        using var scope = torch.NewDisposeScope();
        var factors = weights.dtype switch
        {
            torch.ScalarType.Float32 => Factors.Float,
            torch.ScalarType.BFloat16 => Factors.Bfloat,
            torch.ScalarType.Int8 => Factors.Bytes,
            _ => throw new ArgumentException($"There are no packed products of {weights.dtype}.", nameof(weights)),
        };
        var dense = weights.detach().contiguous();
        var (outputs, inputs) = ((int)dense.shape[0], (int)dense.shape[1]);
        long bytes;
        int padded;
        NativeCall.Check(Native.rc_size(factors, inputs, outputs, &bytes, &padded));
        var packed = torch.empty(bytes, dtype: torch.ScalarType.Byte);
        NativeCall.Check(Native.rc_pack(factors, inputs, outputs, NativeCall.Address(dense), NativeCall.Address(packed)));
        GC.KeepAlive(dense);
        return new(factors, outputs, inputs, padded, packed.MoveToOuterDisposeScope());
    }

    /// <summary>The matrix again.</summary>
    public unsafe Tensor Unpack()
    {
        var weights = torch.empty(Outputs, Inputs, dtype: Type);
        NativeCall.Check(Native.rc_unpack(Factors, Inputs, Outputs, NativeCall.Address(Memory), NativeCall.Address(weights)));
        GC.KeepAlive(this);
        return weights;
    }

    /// <summary>An array over the outputs with the padding that the kernels expect.</summary>
    public Tensor Pad(Tensor perOutput, torch.ScalarType type)
    {
        using var scope = torch.NewDisposeScope();
        return torch.nn.functional.pad(perOutput.detach().to(type), [0, Padded + Margin - Outputs]).contiguous().MoveToOuterDisposeScope();
    }
}
