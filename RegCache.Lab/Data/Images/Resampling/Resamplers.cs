using System.Buffers;
using System.Diagnostics;
using System.Runtime.Intrinsics.X86;

namespace RegCache.Lab.Data.Images.Resampling;

/// <summary>
/// Resizes pixels of three or four byte channels: the columns first, stored as bytes, then the rows; only what is
/// visible is computed.
/// </summary>
internal static unsafe class ByteResampler
{
    /// <summary>Runs a plan.</summary>
    /// <param name="plan">Sizes and windows.</param>
    /// <param name="source">
    /// From the first pixel of the source on, with at least <see cref="DecodedImage.Padding"/> bytes behind the last.
    /// </param>
    /// <param name="sourceStride">Bytes from one source row to the next.</param>
    /// <param name="channels">Bytes a pixel, 3 or 4.</param>
    /// <param name="target">The visible pixels, rows <paramref name="targetStride"/> bytes apart.</param>
    /// <param name="targetStride">Bytes from one target row to the next.</param>
    /// <param name="instructions">What to compute with.</param>
    public static void Run(
        ResamplePlan plan, ReadOnlySpan<byte> source, int sourceStride, int channels, Span<byte> target, int targetStride,
        InstructionSet instructions)
    {
        var visible = plan.Visible;
        var rowBytes = visible.Width * channels;
        ArgumentOutOfRangeException.ThrowIfLessThan(target.Length, ((visible.Height - 1) * targetStride) + rowBytes);
        fixed (byte* pixels = source)
        fixed (byte* output = target)
        {
            if (plan.Horizontal is { } horizontal)
            {
                Across(plan, horizontal, pixels, sourceStride, channels, output, targetStride, instructions);
            }
            else if (plan.Vertical is { } vertical)
            {
                vertical.Run(
                    instructions, pixels + (visible.Left * channels), sourceStride, output, targetStride, rowBytes);
            }
            else
            {
                var first = pixels + ((nint)visible.Top * sourceStride) + (visible.Left * channels);
                CopyRows(first, sourceStride, output, targetStride, rowBytes, visible.Height);
            }
        }
    }

    private static void Across(
        ResamplePlan plan, HorizontalPass horizontal, byte* source, int sourceStride, int channels,
        byte* target, int targetStride, InstructionSet instructions)
    {
        var visible = plan.Visible;
        var firstRow = plan.Vertical?.FirstNeeded ?? visible.Top;
        var endRow = plan.Vertical?.EndNeeded ?? visible.Top + visible.Height;
        var stride = horizontal.TargetBytes(channels);
        var rented = ArrayPool<byte>.Shared.Rent(checked((endRow - firstRow) * stride));
        try
        {
            fixed (byte* rows = rented)
            {
                for (var y = firstRow; y < endRow; y++)
                {
                    horizontal.Run(
                        instructions, source + ((nint)y * sourceStride), rows + ((nint)(y - firstRow) * stride), channels);
                }

                var rowBytes = visible.Width * channels;
                if (plan.Vertical is { } vertical)
                {
                    vertical.Run(instructions, rows - ((nint)firstRow * stride), stride, target, targetStride, rowBytes);
                }
                else
                {
                    CopyRows(rows, stride, target, targetStride, rowBytes, visible.Height);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private static void CopyRows(
        byte* source, nint sourceStride, byte* target, nint targetStride, int rowBytes, int rows)
    {
        for (var y = 0; y < rows; y++)
        {
            new ReadOnlySpan<byte>(source + (y * sourceStride), rowBytes)
                .CopyTo(new Span<byte>(target + (y * targetStride), rowBytes));
        }
    }
}

/// <summary>
/// Resizes 16-bit grey as Pillow does its 32-bit integer mode: sums in double precision, rounded half away from zero
/// after each pass and not cut off before the conversion to RGB.
/// </summary>
internal static class Grey16Resampler
{
    /// <summary>Resizes and converts to RGB bytes, row after row <paramref name="targetStride"/> bytes apart.</summary>
    public static void Run(
        ReadOnlySpan<ushort> source, int sourceStride, AxisWeights? columns, AxisWeights? rows, CropBox visible,
        Span<byte> target, int targetStride)
    {
        var firstRow = rows?.FirstNeeded ?? visible.Top;
        var endRow = rows?.EndNeeded ?? visible.Top + visible.Height;
        var intermediate = new int[(endRow - firstRow) * visible.Width];
        for (var y = firstRow; y < endRow; y++)
        {
            var row = source[(y * sourceStride)..];
            for (var x = 0; x < visible.Width; x++)
            {
                intermediate[((y - firstRow) * visible.Width) + x] =
                    columns is null ? row[visible.Left + x] : Horizontal(row[columns.Start[x]..], columns.Exact(x));
            }
        }

        for (var y = 0; y < visible.Height; y++)
        {
            for (var x = 0; x < visible.Width; x++)
            {
                var value = rows is null
                    ? intermediate[(y * visible.Width) + x]
                    : Vertical(intermediate.AsSpan(((rows.Start[y] - firstRow) * visible.Width) + x), visible.Width, rows.Exact(y));
                target.Slice((y * targetStride) + (3 * x), 3).Fill((byte)Math.Clamp(value, 0, 255));
            }
        }
    }

    private static int Horizontal(ReadOnlySpan<ushort> samples, ReadOnlySpan<double> weights)
    {
        var sum = 0.0;
        for (var tap = 0; tap < weights.Length; tap++)
        {
            sum += samples[tap] * weights[tap];
        }

        return Round(sum);
    }

    private static int Vertical(ReadOnlySpan<int> samples, int stride, ReadOnlySpan<double> weights)
    {
        var sum = 0.0;
        for (var tap = 0; tap < weights.Length; tap++)
        {
            sum += samples[tap * stride] * weights[tap];
        }

        return Round(sum);
    }

    private static int Round(double value) =>
        (int)(value >= 0 ? Math.Floor(value + 0.5) : -Math.Floor(Math.Abs(value) + 0.5));
}

/// <summary>Resizes palette indices by choosing the nearest, since their mean would be no colour.</summary>
internal static class NearestResampler
{
    /// <summary>
    /// The source index for outputs [first, first + outputs) of a resize. Positions are summed up step by step, which
    /// is what decides near pixel borders in Pillow.
    /// </summary>
    public static int[] SourceIndices(int inputLength, int outputLength, int first, int outputs)
    {
        var indices = new int[outputs];
        var step = (double)inputLength / outputLength;
        var position = step * 0.5;
        for (var i = 0; i < first + outputs; i++, position += step)
        {
            if (i >= first)
            {
                indices[i - first] = Math.Min((int)position, inputLength - 1);
            }
        }

        return indices;
    }
}

/// <summary>The instructions that the resampling loops are written for; the bytes are the same with each.</summary>
internal enum InstructionSet
{
    /// <summary>No particular processor.</summary>
    Portable,

    /// <summary>256-bit vectors.</summary>
    Avx2,

    /// <summary>512-bit vectors with byte and word operations.</summary>
    Avx512,
}

/// <summary>Chooses the instructions.</summary>
internal static class InstructionSets
{
    /// <summary>The widest that this processor has.</summary>
    public static InstructionSet Best { get; } =
        IsSupported(InstructionSet.Avx512) ? InstructionSet.Avx512
        : IsSupported(InstructionSet.Avx2) ? InstructionSet.Avx2
        : InstructionSet.Portable;

    /// <summary>Whether this processor has them.</summary>
    public static bool IsSupported(InstructionSet set) => set switch
    {
        InstructionSet.Avx512 => Avx512BW.IsSupported && Avx2.IsSupported,
        InstructionSet.Avx2 => Avx2.IsSupported,
        InstructionSet.Portable => true,
        _ => throw new UnreachableException(),
    };
}
