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

    public static bool CanRun(Tensor values, UniformGrid grid) =>
        values.device_type == DeviceType.CPU
        && values.dtype == torch.ScalarType.Float32
        && grid.Scale.dtype == torch.ScalarType.Float32
        && values.is_contiguous()
        && HasOneScalePerLeadingGroup(values.shape, grid.Scale.shape)
        && !(torch.is_grad_enabled() && values.requires_grad);

    public static unsafe Tensor Run(Tensor values, UniformGrid grid)
    {
        var result = torch.empty_like(values);
        var scales = MemoryMarshal.Cast<byte, float>(grid.Scale.bytes).ToArray();
        var zeroPoints = grid.ZeroPoint is { } zero ? MemoryMarshal.Cast<byte, float>(zero.bytes).ToArray() : null;
        var count = values.NumberOfElements;
        if (count == 0)
        {
            return result;
        }

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
                Quantize1(
                    new ReadOnlySpan<float>((float*)from + start, length),
                    new Span<float>((float*)to + start, length),
                    scales[group],
                    zeroPoints?[group] ?? 0,
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

        return result;
    }

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

    private static void Quantize1(
        ReadOnlySpan<float> input, Span<float> output, float scale, float zeroPoint, float lowest, float highest)
    {
        var position = 0;
        var (steps, zeros) = (Vector512.Create(scale), Vector512.Create(zeroPoint));
        var (floor, ceiling) = (Vector512.Create(lowest), Vector512.Create(highest));
        for (; position <= input.Length - Vector512<float>.Count; position += Vector512<float>.Count)
        {
            var codes = Vector512.Round(Vector512.Create(input[position..]) / steps) + zeros;
            // MaxNative/MinNative with the value second keep NaN, as clamp does.
            var clipped = Vector512.MinNative(ceiling, Vector512.MaxNative(floor, codes));
            ((clipped - zeros) * steps).CopyTo(output[position..]);
        }

        for (; position < input.Length; position++)
        {
            var code = MathF.Round(input[position] / scale) + zeroPoint;
            output[position] = (Math.Clamp(code, lowest, highest) - zeroPoint) * scale;
        }
    }
}
