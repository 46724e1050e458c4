using System.Runtime.Intrinsics;

namespace RegCache.Lab.Training.Augmentation;

/// <summary>
/// Pillow's changes of the colours of an 8-bit image, to the byte (<c>ImageOps</c>, <c>ImageEnhance</c>, <c>ImageFilter.SMOOTH</c>): its
/// integer tables, its truncated blends in single precision, its borders. Pixels are [H,W,3].
/// </summary>
internal static class PixelOperations
{
    private const int Channels = 3;
    private const int Lanes = 8;

    /// <summary>Turns every value into its complement.</summary>
    public static void Invert(Span<byte> rgb)
    {
        foreach (ref var value in rgb)
        {
            value = (byte)~value;
        }
    }

    /// <summary>Stretches every channel to the whole range.</summary>
    public static void AutoContrast(Span<byte> rgb) => LookUpByChannel(rgb, static (counts, table) =>
    {
        var (low, high) = (counts.IndexOfAnyExcept(0), counts.LastIndexOfAnyExcept(0));
        if (high <= low)
        {
            return false;
        }

        var scale = 255.0 / (high - low);
        var offset = -low * scale;
        for (var value = 0; value < table.Length; value++)
        {
            table[value] = (byte)Math.Clamp((int)((value * scale) + offset), 0, 255);
        }

        return true;
    });

    /// <summary>Makes the values of every channel about equally frequent.</summary>
    public static void Equalize(Span<byte> rgb) => LookUpByChannel(rgb, static (counts, table) =>
    {
        var (sum, last, kinds) = (0, 0, 0);
        foreach (var count in counts)
        {
            if (count > 0)
            {
                (sum, last, kinds) = (sum + count, count, kinds + 1);
            }
        }

        var step = (sum - last) / 255;
        if (kinds <= 1 || step == 0)
        {
            return false;
        }

        var reached = step / 2;
        for (var value = 0; value < table.Length; value++)
        {
            table[value] = (byte)Math.Min(255, reached / step);
            reached += counts[value];
        }

        return true;
    });

    /// <summary>Keeps the highest bits of every value; 8 and more keep all.</summary>
    public static void Posterize(Span<byte> rgb, int bits)
    {
        var mask = bits >= 8 ? byte.MaxValue : (byte)~((1 << (8 - bits)) - 1);
        foreach (ref var value in rgb)
        {
            value &= mask;
        }
    }

    /// <summary>Turns the values from a threshold on into their complements.</summary>
    public static void Solarize(Span<byte> rgb, int threshold) => LookUp(rgb, value => (byte)(value < threshold ? value : 255 - value));

    /// <summary>Adds to the values below 128.</summary>
    public static void SolarizeAdd(Span<byte> rgb, int add) => LookUp(rgb, value => (byte)(value < 128 ? Math.Min(255, value + add) : value));

    /// <summary>Blends with black.</summary>
    public static void Brightness(Span<byte> rgb, double factor) => LookUp(rgb, value => Blend(0, (byte)value, (float)factor));

    /// <summary>Blends with the mean grey.</summary>
    public static void Contrast(Span<byte> rgb, double factor)
    {
        var sum = 0L;
        for (var pixel = 0; pixel < rgb.Length; pixel += Channels)
        {
            sum += GreyOf(rgb[pixel..]);
        }

        var mean = (byte)((sum / (rgb.Length / (double)Channels)) + 0.5);
        LookUp(rgb, value => Blend(mean, (byte)value, (float)factor));
    }

    /// <summary>Blends with the grey image.</summary>
    public static void Saturation(Span<byte> rgb, double factor)
    {
        // A stretch of pixels that stays in the first cache, so that grey values are blended as vectors.
        Span<byte> greys = stackalloc byte[256 * Channels];
        for (var first = 0; first < rgb.Length; first += greys.Length)
        {
            var part = rgb.Slice(first, Math.Min(greys.Length, rgb.Length - first));
            for (var pixel = 0; pixel < part.Length; pixel += Channels)
            {
                greys[pixel] = greys[pixel + 1] = greys[pixel + 2] = GreyOf(part[pixel..]);
            }

            BlendInto(greys[..part.Length], part, (float)factor);
        }
    }

    /// <summary>Replaces every pixel by its grey value.</summary>
    public static void Grey(Span<byte> rgb)
    {
        for (var pixel = 0; pixel < rgb.Length; pixel += Channels)
        {
            rgb.Slice(pixel, Channels).Fill(GreyOf(rgb[pixel..]));
        }
    }

    /// <summary>Blends with the smoothed image; the outermost pixels stay as they are.</summary>
    public static void Sharpness(Picture picture, double factor)
    {
        var source = picture.Pixels;
        var target = picture.Spare;
        var share = (float)factor;
        source.CopyTo(target);
        var stride = picture.Width * Channels;
        for (var row = 1; row < picture.Height - 1; row++)
        {
            var first = row * stride;
            for (var at = Channels; at < stride - Channels;)
            {
                at += SharpenVector(source, target, first + at, stride, stride - Channels - at, share);
            }
        }

        picture.Swap();
    }

    /// <summary>Pillow's blend: single precision, cut off, truncated.</summary>
    private static byte Blend(byte from, byte to, float share) => (byte)Math.Clamp(from + (share * (to - from)), 0, 255);

    private static byte GreyOf(ReadOnlySpan<byte> rgb) => (byte)(((rgb[0] * 19595) + (rgb[1] * 38470) + (rgb[2] * 7471) + 0x8000) >> 16);

    // Sharpens as many bytes as a vector holds, or one where fewer are left; returns how many.
    private static int SharpenVector(ReadOnlySpan<byte> source, Span<byte> target, int at, int stride, int left, float share)
    {
        const float edge = 1 / 13f;
        const float centre = 5 / 13f;
        if (left < Lanes)
        {
            float Row(ReadOnlySpan<byte> rows, int place, float middle) => (rows[place - Channels] * edge) + (rows[place] * middle) + (rows[place + Channels] * edge);

            // The order of the sums is Pillow's: the row below comes first.
            var sum = 0.5f + Row(source, at + stride, edge) + Row(source, at, centre) + Row(source, at - stride, edge);
            target[at] = Blend((byte)Math.Clamp(sum, 0, 255), source[at], share);
            return 1;
        }

        Vector256<float> Weighted(ReadOnlySpan<byte> rows, int place, float middle) =>
            (Load(rows, place - Channels) * edge) + (Load(rows, place) * middle) + (Load(rows, place + Channels) * edge);

        var smooth = Vector256.Create(0.5f) + Weighted(source, at + stride, edge) + Weighted(source, at, centre) + Weighted(source, at - stride, edge);
        var from = Vector256.ConvertToSingle(Truncated(smooth));
        Store(from + ((Load(source, at) - from) * share), target[at..]);
        return Lanes;
    }

    private static void BlendInto(ReadOnlySpan<byte> from, Span<byte> to, float share)
    {
        var at = 0;
        for (; at <= to.Length - Lanes; at += Lanes)
        {
            var start = Load(from, at);
            Store(start + ((Load(to, at) - start) * share), to[at..]);
        }

        for (; at < to.Length; at++)
        {
            to[at] = Blend(from[at], to[at], share);
        }
    }

    private static Vector256<float> Load(ReadOnlySpan<byte> values, int at)
    {
        var words = Vector128.WidenLower(Vector128.CreateScalarUnsafe(BitConverter.ToUInt64(values[at..])).AsByte());
        return Vector256.ConvertToSingle(Vector256.Create(Vector128.WidenLower(words), Vector128.WidenUpper(words)).AsInt32());
    }

    private static Vector256<int> Truncated(Vector256<float> values) =>
        Vector256.ConvertToInt32(Vector256.Min(Vector256.Max(values, Vector256<float>.Zero), Vector256.Create(255f)));

    private static void Store(Vector256<float> values, Span<byte> target)
    {
        var whole = Truncated(values).AsUInt32();
        var narrow = Vector128.Narrow(whole.GetLower(), whole.GetUpper());
        BitConverter.TryWriteBytes(target, Vector128.Narrow(narrow, narrow).AsUInt64()[0]);
    }

    private static void LookUp(Span<byte> rgb, Func<int, byte> of)
    {
        Span<byte> table = stackalloc byte[256];
        for (var value = 0; value < table.Length; value++)
        {
            table[value] = of(value);
        }

        foreach (ref var value in rgb)
        {
            value = table[value];
        }
    }

    // Fills a channel's table from the counts of its values; false: the channel stays as it is.
    private delegate bool TableOf(ReadOnlySpan<int> counts, Span<byte> table);

    private static void LookUpByChannel(Span<byte> rgb, TableOf of)
    {
        Span<int> counts = stackalloc int[256];
        Span<byte> table = stackalloc byte[256];
        for (var channel = 0; channel < Channels; channel++)
        {
            counts.Clear();
            for (var at = channel; at < rgb.Length; at += Channels)
            {
                counts[rgb[at]]++;
            }

            if (!of(counts, table))
            {
                continue;
            }

            for (var at = channel; at < rgb.Length; at += Channels)
            {
                rgb[at] = table[rgb[at]];
            }
        }
    }
}
