using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace RegCache.Lab.Data.Images;

/// <summary>Conversions between pixel layouts with the integer arithmetic of Pillow's <c>convert</c>.</summary>
internal static class ColorConversion
{
    /// <summary>Converts pixels of any layout to red, green, blue; those of four bytes also into the memory where they begin.</summary>
    public static void ToRgb(PixelLayout layout, ReadOnlySpan<byte> source, ReadOnlySpan<byte> palette, Span<byte> rgb)
    {
        switch (layout)
        {
            case PixelLayout.Rgb:
                source.CopyTo(rgb);
                break;
            case PixelLayout.Rgba:
                DropAlpha(source, rgb);
                break;
            case PixelLayout.Cmyk:
                CmykToRgb(source, rgb);
                break;
            case PixelLayout.Palette:
                LookUp(source, palette, rgb);
                break;
            case PixelLayout.Grey16:
                ClipGrey(MemoryMarshal.Cast<byte, ushort>(source), rgb);
                break;
            default:
                throw new UnreachableException();
        }
    }

    /// <summary>round(a * b / 255) for bytes, without a division.</summary>
    public static byte MultiplyDivide255(int a, int b)
    {
        var product = (a * b) + 128;
        return (byte)(((product >> 8) + product) >> 8);
    }

    /// <summary>Multiplies colours by their alpha.</summary>
    public static void Premultiply(ReadOnlySpan<byte> source, Span<byte> target)
    {
        for (var i = 0; i + 3 < source.Length; i += 4)
        {
            var alpha = source[i + 3];
            target[i] = MultiplyDivide255(source[i], alpha);
            target[i + 1] = MultiplyDivide255(source[i + 1], alpha);
            target[i + 2] = MultiplyDivide255(source[i + 2], alpha);
            target[i + 3] = alpha;
        }
    }

    /// <summary>Divides premultiplied colours by their alpha and drops it.</summary>
    public static void UnpremultiplyToRgb(ReadOnlySpan<byte> source, Span<byte> rgb)
    {
        for (int i = 0, o = 0; i + 3 < source.Length; i += 4, o += 3)
        {
            int alpha = source[i + 3];
            for (var c = 0; c < 3; c++)
            {
                rgb[o + c] = alpha is 0 or 255
                    ? source[i + c]
                    : (byte)Math.Min(255, 255 * source[i + c] / alpha);
            }
        }
    }

    /// <summary>Drops the fourth byte of every pixel; both may begin at the same place in memory.</summary>
    public static void DropAlpha(ReadOnlySpan<byte> rgba, Span<byte> rgb)
    {
        rgb = rgb[..(rgba.Length / 4 * 3)];
        int i = 0, o = 0;
        // The last four bytes of a store are zeros that the next one covers; it ends where the next load begins, or before.
        var colors = Vector128.Create((byte)0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255);
        for (; o + 16 <= rgb.Length; i += 16, o += 12)
        {
            Vector128.Shuffle(Vector128.Create(rgba[i..]), colors).CopyTo(rgb[o..]);
        }

        for (; i + 3 < rgba.Length; i += 4, o += 3)
        {
            rgb[o] = rgba[i];
            rgb[o + 1] = rgba[i + 1];
            rgb[o + 2] = rgba[i + 2];
        }
    }

    /// <summary>Converts inks to light.</summary>
    public static void CmykToRgb(ReadOnlySpan<byte> cmyk, Span<byte> rgb)
    {
        for (int i = 0, o = 0; i + 3 < cmyk.Length; i += 4, o += 3)
        {
            var light = 255 - cmyk[i + 3];
            for (var c = 0; c < 3; c++)
            {
                rgb[o + c] = (byte)Math.Max(0, light - MultiplyDivide255(cmyk[i + c], light));
            }
        }
    }

    private static void LookUp(ReadOnlySpan<byte> indices, ReadOnlySpan<byte> palette, Span<byte> rgb)
    {
        for (int i = 0, o = 0; i < indices.Length; i++, o += 3)
        {
            palette.Slice(3 * indices[i], 3).CopyTo(rgb[o..]);
        }
    }

    private static void ClipGrey(ReadOnlySpan<ushort> grey, Span<byte> rgb)
    {
        for (int i = 0, o = 0; i < grey.Length; i++, o += 3)
        {
            rgb.Slice(o, 3).Fill((byte)Math.Min(grey[i], (ushort)255));
        }
    }
}
