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
    public override Tensor Weight => TensorScope.Run(() =>
    {
        Tensor PerRow(Tensor padded) => padded.narrow(0, 0, Matrix.Outputs).unsqueeze(1);
        var codes = Matrix.Unpack().to(torch.ScalarType.Float32);
        codes = _offset is null ? codes : codes + PerRow(_offset);
        return codes * PerRow(_scale);
    });

    /// <inheritdoc />
    public override bool IsRowwise { get; }

    /// <summary>
    /// The integer form of a simulated layer; null where its values are not those of bytes (twin ranges, grids for each
    /// channel) or its sums could overflow.
    /// </summary>
    public static IntegerLinear? TryCreate(QuantizedLinear simulated, string name) => TensorScope.Run(() =>
        simulated.Product is Linear { Weight: var weight }
        && weight.dtype == torch.ScalarType.Float32
        && weight.shape[1] <= ushort.MaxValue
        && IntegerGrid.Of(simulated.Input) is { } grid
        && IntegerWeights.Of(weight, simulated.WeightGrid) is { } weights
        && LargestSum(weight.shape[1], grid, weights) <= int.MaxValue
            ? new IntegerLinear(name, simulated, grid, weights)
            : null);

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
        return inputs * (LargestWeight + weights.LargestOffset) * (grid.Levels + grid.LargestZero);
    }

    private Tensor Columns(Tensor codes)
    {
        using var turned = codes.t();
        using var padded = torch.nn.functional.pad(turned, [0, Matrix.Padded - Matrix.Outputs]);
        return padded.contiguous();
    }
}

/// <summary>How an activation becomes unsigned bytes: on a given grid, or on one from its own range.</summary>
/// <param name="Scope">Over what the range is taken; null for a given grid.</param>
/// <param name="Asymmetric">Whether a range of its own lies anywhere rather than around zero.</param>
/// <param name="Levels">The largest code; codes begin at 0.</param>
/// <param name="Zero">Code of the value zero, of a given grid.</param>
/// <param name="Step">Distance of two codes' values, of a given grid.</param>
/// <param name="ClippedShift">Steps by which clipped values lie above the value of their code.</param>
internal sealed record IntegerGrid(
    ActivationScope? Scope, bool Asymmetric, int Levels, int Zero = 0, float Step = 1, float ClippedShift = 0)
{
    private const int MostLevels = byte.MaxValue;

    /// <summary>The largest magnitude that the code of the value zero can have.</summary>
    public long LargestZero => Scope is null ? Math.Abs(Zero) : Levels;

    /// <summary>The integers of a quantizer; null where it is none of unsigned bytes.</summary>
    public static IntegerGrid? Of(ITensorQuantizer quantizer) => quantizer switch
    {
        DynamicInput { Quantizer: var naive } => new(
            naive.Scope, naive.AsymmetricActivations, (1 << naive.Bits.Activations) - 1),
        UniformQuantizer { Scale.NumberOfElements: 1 } grid when grid.ZeroPoint is not { NumberOfElements: not 1 } => Of(grid),
        _ => null,
    };

    private static IntegerGrid? Of(UniformQuantizer grid)
    {
        var (step, zero) = (Value(grid.Scale), grid.ZeroPoint is { } point ? Value(point) : 0);
        // Codes count from the lowest. The zero point of RepQ-ViT is no whole number: values on the grid are whole steps from
        // zero all the same, and only what is clipped lies between.
        var first = (double)zero - grid.Lowest;
        var whole = Math.Ceiling(first);
        var levels = grid.Highest - grid.Lowest;
        return levels <= MostLevels && float.IsFinite(step) && step > 0 && Math.Abs(whole) <= short.MaxValue
            ? new(null, true, levels, (int)whole, step, (float)(whole - first))
            : null;
    }

    private static float Value(Tensor single)
    {
        using var wide = single.to(torch.ScalarType.Float32);
        return wide.item<float>();
    }
}

/// <summary>Weights as signed bytes: the weight in row o is <c>(code + offset[o]) * scale[o]</c>.</summary>
/// <param name="Codes">Codes [out,in], int8.</param>
/// <param name="Scale">Scales [out], float32.</param>
/// <param name="Offset">Offsets [out], int32; null when all are 0.</param>
/// <param name="LargestOffset">The largest magnitude among them.</param>
internal sealed record IntegerWeights(Tensor Codes, Tensor Scale, Tensor? Offset, long LargestOffset)
{
    /// <summary>Finds the integers of dequantized weights; null where their grid is none of bytes a row.</summary>
    /// <param name="weight">Dequantized weights [out,in], float32.</param>
    /// <param name="grid">The grid that they are on.</param>
    public static IntegerWeights? Of(Tensor weight, UniformQuantizer grid)
    {
        using var scope = torch.NewDisposeScope();
        var outputs = weight.shape[0];
        // Unsigned codes are lowered by half a byte.
        var lowered = grid.Lowest >= sbyte.MinValue && grid.Highest <= sbyte.MaxValue ? 0
            : grid.Lowest >= 0 && grid.Highest <= byte.MaxValue ? sbyte.MaxValue + 1
            : -1;
        if (lowered < 0
            || PerRow(grid.Scale, outputs) is not { } scale
            || PerRow(grid.ZeroPoint ?? torch.zeros(1, 1), outputs) is not { } zero)
        {
            return null;
        }

        var offset = lowered - zero;
        if (offset.ne(offset.round()).any().item<bool>())
        {
            return null;
        }

        var largest = (long)offset.abs().max().item<float>();
        var codes = (grid.Encode(weight) - lowered).to(torch.ScalarType.Int8);
        return new(
            codes.MoveToOuterDisposeScope(),
            scale.MoveToOuterDisposeScope(),
            largest == 0 ? null : offset.to(torch.ScalarType.Int32).MoveToOuterDisposeScope(),
            largest);
    }

    private static Tensor? PerRow(Tensor parameter, long rows) =>
        parameter.NumberOfElements == 1 ? parameter.view(1).expand(rows).contiguous()
        : parameter.shape is [var first, 1] && first == rows ? parameter.view(rows).contiguous()
        : null;
}
