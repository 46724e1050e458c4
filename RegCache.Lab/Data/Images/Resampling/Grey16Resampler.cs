namespace RegCache.Lab.Data.Images.Resampling;

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
