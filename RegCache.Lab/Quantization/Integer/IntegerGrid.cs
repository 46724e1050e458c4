namespace RegCache.Lab.Quantization.Integer;

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
        // zero all the same, and only what is clipped lies between (quantizers.md, section 3.4).
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
