using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace RegCache.Lab.Quantization;

/// <summary>
/// <see cref="UniformGrid.FakeQuantize"/> in one pass over memory, on all cores: float32 on the CPU with one scale per
/// tensor or per leading group. Gives the same bits as the tensor operators, which take four passes.
/// </summary>
internal static class FakeQuantizeKernel
{
    private const int ElementsPerTask = 1 << 16;

    // Spans of a tensor's bytes end at 2 GiB.
    private const long MostElements = int.MaxValue / sizeof(float);

    public static bool CanRun(Tensor values, UniformGrid grid) =>
        values.device_type == DeviceType.CPU
        && values.dtype == torch.ScalarType.Float32
        && values.NumberOfElements <= MostElements
        && values.is_contiguous()
        && IsUsable(grid.Scale, values.shape)
        && (grid.ZeroPoint is not { } zero || (IsUsable(zero, values.shape) && zero.NumberOfElements == grid.Scale.NumberOfElements))
        && !(torch.is_grad_enabled() && values.requires_grad);

    public static unsafe Tensor Run(Tensor values, UniformGrid grid)
    {
        var result = torch.empty_like(values);
        var count = values.NumberOfElements;
        if (count == 0)
        {
            return result;
        }

        var scales = MemoryMarshal.Cast<byte, float>(grid.Scale.bytes).ToArray();
        var zeroPoints = grid.ZeroPoint is { } zero ? MemoryMarshal.Cast<byte, float>(zero.bytes).ToArray() : null;
        fixed (byte* input = values.bytes, output = result.bytes)
        {
            var (from, to) = ((nint)input, (nint)output);
            var groupSize = count / scales.Length;
            var chunk = Math.Min(groupSize, ElementsPerTask);
            var chunksPerGroup = (groupSize + chunk - 1) / chunk;

            void Quantize(long index)
            {
                var (group, part) = Math.DivRem(index, chunksPerGroup);
                var start = (group * groupSize) + (part * chunk);
                var length = (int)Math.Min(chunk, groupSize - (part * chunk));
                QuantizeGroup(
                    new ReadOnlySpan<float>((float*)from + start, length),
                    new Span<float>((float*)to + start, length),
                    scales[group],
                    zeroPoints?[group],
                    grid.Lowest,
                    grid.Highest);
            }

            if (count <= ElementsPerTask)
            {
                for (long index = 0; index < scales.Length * chunksPerGroup; index++)
                {
                    Quantize(index);
                }
            }
            else
            {
                Parallel.For(0, scales.Length * chunksPerGroup, Quantize);
            }
        }

        GC.KeepAlive(values);
        return result;
    }

    private static bool IsUsable(Tensor parameter, ReadOnlySpan<long> values) =>
        parameter.device_type == DeviceType.CPU
        && parameter.dtype == torch.ScalarType.Float32
        && parameter.is_contiguous()
        && HasOneScalePerLeadingGroup(values, parameter.shape);

    private static bool HasOneScalePerLeadingGroup(ReadOnlySpan<long> values, ReadOnlySpan<long> scale)
    {
        if (values.Length != scale.Length)
        {
            return false;
        }

        var axis = 0;
        while (axis < scale.Length && scale[axis] == values[axis])
        {
            axis++;
        }

        return scale[axis..].IndexOfAnyExcept(1) < 0;
    }

    private static void QuantizeGroup(
        ReadOnlySpan<float> input, Span<float> output, float scale, float? zeroPoint, float lowest, float highest)
    {
        // x + -0 is x for every x, and x - 0 too: without a zero point negative zeros stay as the tensor operators leave them.
        var (shift, unshift) = (zeroPoint ?? -0f, zeroPoint ?? 0f);
        var (steps, shifts, unshifts) = (Vector512.Create(scale), Vector512.Create(shift), Vector512.Create(unshift));
        var (floor, ceiling) = (Vector512.Create(lowest), Vector512.Create(highest));
        var position = 0;
        for (; position <= input.Length - Vector512<float>.Count; position += Vector512<float>.Count)
        {
            var codes = Vector512.Round(Vector512.Create(input[position..]) / steps) + shifts;
            // MaxNative/MinNative with the value second keep NaN, as clamp does.
            var clipped = Vector512.MinNative(ceiling, Vector512.MaxNative(floor, codes));
            ((clipped - unshifts) * steps).CopyTo(output[position..]);
        }

        for (; position < input.Length; position++)
        {
            var code = MathF.Round(input[position] / scale) + shift;
            output[position] = (Math.Clamp(code, lowest, highest) - unshift) * scale;
        }
    }
}
