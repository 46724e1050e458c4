using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Integer;

/// <summary>A linear layer with packed weights.</summary>
internal abstract unsafe class OneDnnLinear : IBackendLinear
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
    public IBlockBackend Backend => OneDnnBlock.Instance;

    /// <inheritdoc />
    public abstract Tensor Weight { get; }

    /// <inheritdoc />
    public Tensor? Bias { get; }

    /// <inheritdoc />
    public abstract bool IsRowwise { get; }

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

    /// <summary>Hands the layer's tensors to the enclosing dispose scope.</summary>
    protected void MoveToOuterDisposeScope() => _memory.ForEach(tensor => tensor.MoveToOuterDisposeScope());

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
