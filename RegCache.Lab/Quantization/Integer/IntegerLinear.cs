using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Integer;

/// <summary>
/// A quantized linear layer whose products run in integers: unsigned bytes times signed bytes, summed exactly in int32. Zero
/// points are taken off the sums, then <c>y = sum * step * scale + bias</c>. The result is that of the simulated layer up to
/// the rounding of the latter's float sums.
/// </summary>
internal sealed unsafe class IntegerLinear : OneDnnLinear
{
    private readonly Tensor _scale;
    private readonly Tensor? _offset;

    private IntegerLinear(string name, QuantizedLinear simulated, IntegerGrid grid, IntegerWeights weights)
        : base(name, PackedMatrix.Pack(weights.Codes), simulated.Bias)
    {
        IsRowwise = simulated.IsRowwise;
        _scale = Matrix.Pad(weights.Scale, torch.ScalarType.Float32);
        _offset = weights.Offset is null ? null : Matrix.Pad(weights.Offset, torch.ScalarType.Int32);
        using var sums = weights.Codes.sum(1, type: torch.ScalarType.Int32);
        Layer = Layer with
        {
            Scale = (float*)Keep(_scale),
            ColumnSums = (int*)Keep(Matrix.Pad(sums, torch.ScalarType.Int32)),
            WeightOffsets = _offset is null ? null : (int*)Keep(_offset),
            Columns = grid.ClippedShift == 0 ? null : (sbyte*)Keep(Columns(weights.Codes)),
            Scope = grid.Scope is { } over ? (int)over + 1 : 0,
            Asymmetric = grid.Asymmetric ? 1 : 0,
            Levels = grid.Levels,
            Zero = grid.Zero,
            Step = grid.Step,
            ClippedShift = grid.ClippedShift,
        };
    }

    /// <inheritdoc />
    public override Tensor Weight
    {
        get
        {
            using var scope = torch.NewDisposeScope();
            Tensor PerRow(Tensor padded) => padded.narrow(0, 0, Matrix.Outputs).unsqueeze(1);
            var codes = Matrix.Unpack().to(torch.ScalarType.Float32);
            codes = _offset is null ? codes : codes + PerRow(_offset);
            return (codes * PerRow(_scale)).MoveToOuterDisposeScope();
        }
    }

    /// <inheritdoc />
    public override bool IsRowwise { get; }

    /// <summary>
    /// The integer form of a simulated layer; null where its values are not those of bytes (twin ranges, grids for each
    /// channel) or its sums could overflow.
    /// </summary>
    public static IntegerLinear? TryCreate(QuantizedLinear simulated, string name)
    {
        using var scope = torch.NewDisposeScope();
        if (simulated.Product is not Linear { Weight: var weight }
            || weight.dtype != torch.ScalarType.Float32
            || weight.shape[1] > ushort.MaxValue
            || IntegerGrid.Of(simulated.Input) is not { } grid
            || IntegerWeights.Of(weight, simulated.WeightGrid) is not { } weights
            || LargestSum(weight.shape[1], grid, weights) > int.MaxValue)
        {
            return null;
        }

        var linear = new IntegerLinear(name, simulated, grid, weights);
        linear.MoveToOuterDisposeScope();
        return linear;
    }

    /// <summary>What the product works on, for those who check it.</summary>
    /// <param name="input">The input [B,..,in], float32.</param>
    /// <returns>Codes [rows,in] as bytes and their plain sums [rows,out] as int32, before zero points are taken off.</returns>
    public (Tensor Codes, Tensor Sums) Inspect(Tensor input)
    {
        using var dense = input.contiguous();
        var rows = dense.NumberOfElements / Matrix.Inputs;
        var codes = torch.empty(rows, Matrix.Inputs, dtype: torch.ScalarType.Byte);
        var sums = torch.empty(rows, Matrix.Outputs, dtype: torch.ScalarType.Int32);
        var (layer, stream, place) = (Layer, Stream(dense), default(NativePlace));
        var status = Native.rc_inspect(
            &layer, &stream, (byte*)NativeCall.Address(codes), (int*)NativeCall.Address(sums), torch.get_num_threads(), &place);
        NativeCall.Check(status, place, stream.Length, this);
        GC.KeepAlive(this);
        return (codes, sums);
    }

    // A bound of the sums and of everything that is taken off them or added.
    private static long LargestSum(long inputs, IntegerGrid grid, IntegerWeights weights)
    {
        const long LargestWeight = 1 + sbyte.MaxValue;
        return inputs * ((grid.Levels * LargestWeight) + (grid.LargestZero * LargestWeight) + (weights.LargestOffset * (grid.Levels + grid.LargestZero)));
    }

    private Tensor Columns(Tensor codes)
    {
        using var turned = codes.t();
        using var padded = torch.nn.functional.pad(turned, [0, Matrix.Padded - Matrix.Outputs]);
        return padded.contiguous();
    }
}
