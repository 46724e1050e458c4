using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Integer;

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
        if (lowered < 0 || PerRow(grid.Scale, outputs) is not { } scale || PerRow(grid.ZeroPoint ?? torch.zeros(1, 1), outputs) is not { } zero)
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
