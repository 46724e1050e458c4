using System.Buffers;

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
