using System.Diagnostics;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Integer;

/// <summary>A linear layer on oneDNN, with weights packed in its order.</summary>
internal abstract unsafe class OneDnnLinear : IBackendLinear, ITensorHolder
{
    private readonly List<Tensor> _memory = [];

    /// <param name="name">The layer's name, for messages.</param>
    /// <param name="matrix">The packed weights.</param>
    /// <param name="bias">The bias [out], or null.</param>
    protected OneDnnLinear(string name, PackedMatrix matrix, Tensor? bias)
    {
        (Name, Matrix, Bias) = (name, matrix, bias);
        Layer = new()
        {
            Factors = matrix.Factors,
            Inputs = matrix.Inputs,
            Outputs = matrix.Outputs,
            Packed = Keep(matrix.Memory),
            Bias = (float*)Keep(matrix.Pad(bias ?? torch.zeros(matrix.Outputs), torch.ScalarType.Float32)),
        };
    }

    /// <summary>The layer's name, for messages.</summary>
    public string Name { get; }

    /// <inheritdoc />
    public IBlockBackend Backend => OneDnnBlockBackend.Instance;

    /// <inheritdoc />
    public abstract Tensor Weight { get; }

    /// <inheritdoc />
    public Tensor? Bias { get; }

    /// <inheritdoc />
    public abstract bool IsRowwise { get; }

    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => _memory;

    /// <summary>The number type of the stream that the layer works on.</summary>
    public torch.ScalarType StreamType => Matrix.Factors == Factors.Bfloat ? torch.ScalarType.BFloat16 : torch.ScalarType.Float32;

    /// <summary>The packed weights.</summary>
    protected PackedMatrix Matrix { get; }

    /// <summary>The layer as the kernels see it; its memory is that of tensors of this object.</summary>
    protected internal NativeLayer Layer { get; protected set; }

    /// <inheritdoc />
    public Tensor Apply(Tensor input)
    {
        if (input.shape[^1] != Matrix.Inputs || input.dtype != StreamType)
        {
            throw new ArgumentException(
                $"{Name} takes {StreamType} rows of {Matrix.Inputs}, not {input.dtype} of shape [{string.Join(", ", input.shape)}].", nameof(input));
        }

        using var dense = input.contiguous();
        var output = torch.empty([.. input.shape[..^1], Matrix.Outputs], dtype: input.dtype);
        if (output.NumberOfElements == 0)
        {
            return output;
        }

        var (layer, stream, place) = (Layer, Stream(dense), default(NativePlace));
        stream.To = NativeCall.Address(output);
        NativeCall.Check(Native.rc_apply(&layer, &stream, torch.get_num_threads(), &place), place, stream.Length, this);
        GC.KeepAlive(this);
        return output;
    }

    /// <summary>Runs only the layer's products, of rows of zeros: what everything around them is measured against.</summary>
    internal void Multiply(int rows)
    {
        var layer = Layer;
        NativeCall.Check(Native.rc_multiply(&layer, rows, torch.get_num_threads()));
        GC.KeepAlive(this);
    }

    /// <summary>Keeps a tensor of the layer alive; returns its memory.</summary>
    protected void* Keep(Tensor tensor)
    {
        _memory.Add(tensor);
        return NativeCall.Address(tensor);
    }

    /// <summary>The rows of a dense tensor [B,..,in] as a stream of B images.</summary>
    protected static NativeStream Stream(Tensor rows)
    {
        var (images, width) = (rows.Dimensions > 1 ? rows.shape[0] : 1, rows.shape[^1]);
        return new()
        {
            From = NativeCall.Address(rows),
            Narrow = rows.dtype == torch.ScalarType.BFloat16 ? 1 : 0,
            Images = (int)images,
            Length = (int)(rows.NumberOfElements / images / width),
            Width = (int)width,
        };
    }
}

/// <summary>The float or bfloat16 linear layer.</summary>
/// <param name="name">The layer's name, for messages.</param>
/// <param name="plain">The layer.</param>
internal sealed class PackedLinear(string name, Linear plain) : OneDnnLinear(name, PackedMatrix.Pack(plain.Weight), plain.Bias)
{
    /// <inheritdoc />
    public override Tensor Weight => Matrix.Unpack();

    /// <inheritdoc />
    public override bool IsRowwise => true;
}

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
        Factors.Bytes => torch.ScalarType.Int8,
        _ => throw new UnreachableException(),
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
    public Tensor Pad(Tensor perOutput, torch.ScalarType type) => TensorScope.Run(() =>
        torch.nn.functional.pad(perOutput.detach().to(type), [0, Padded + Margin - Outputs]).contiguous());
}

/// <summary>The number type of both factors of a packed product.</summary>
internal enum Factors
{
    /// <summary>float32, sums too.</summary>
    Float,

    /// <summary>bfloat16, sums in float32.</summary>
    Bfloat,

    /// <summary>Unsigned activations and signed weights of 8 bits, sums in int32.</summary>
    Bytes,
}
