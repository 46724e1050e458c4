using System.Buffers;

namespace RegCache.Lab.Training.Augmentation;

/// <summary>
/// Pillow's Gaussian blur, to the byte: three box filters of a fractional radius one after another, across and then down (Gwosdek et al.
/// 2011, "Theoretical foundations of Gaussian convolution by extended box filtering"), each in 24-bit fixed point.
/// </summary>
internal static class GaussianBlur
{
    private const int Channels = 3;
    private const int Passes = 3;
    private const int FractionBits = 24;

    /// <summary>Blurs a picture.</summary>
    /// <param name="picture">The picture.</param>
    /// <param name="radius">The standard deviation in pixels, above 0.</param>
    public static void Apply(Picture picture, double radius)
    {
        var box = BoxRadius((float)radius);
        var pixels = picture.Pixels;
        var stride = picture.Width * Channels;
        var line = ArrayPool<byte>.Shared.Rent(Math.Max(picture.Width, picture.Height));
        for (var row = 0; row < picture.Height; row++)
        {
            for (var channel = 0; channel < Channels; channel++)
            {
                BlurLine(pixels[((row * stride) + channel)..], Channels, line.AsSpan(0, picture.Width), box);
            }
        }

        for (var column = 0; column < stride; column++)
        {
            BlurLine(pixels[column..], stride, line.AsSpan(0, picture.Height), box);
        }

        ArrayPool<byte>.Shared.Return(line);
    }

    // The radius of the box filters whose sequence has the variance of the Gaussian.
    private static float BoxRadius(float radius)
    {
        var variance = radius * radius / Passes;
        var length = (float)Math.Sqrt((12.0 * variance) + 1.0);
        var whole = (float)Math.Floor((length - 1.0) / 2.0);
        var part = ((2 * whole) + 1) * ((whole * (whole + 1)) - (3 * variance));
        part /= 6 * (variance - ((whole + 1) * (whole + 1)));
        return whole + part;
    }

    private static void BlurLine(Span<byte> values, int stride, Span<byte> line, float radius)
    {
        var whole = (int)radius;
        var weight = (uint)((1 << FractionBits) / ((radius * 2) + 1));
        var edgeWeight = ((1u << FractionBits) - ((uint)((whole * 2) + 1) * weight)) / 2;
        var last = line.Length - 1;
        for (var pass = 0; pass < Passes; pass++)
        {
            for (var index = 0; index < line.Length; index++)
            {
                line[index] = values[index * stride];
            }

            // Beyond the ends the outermost values go on.
            var sum = line[0] * (uint)(whole + 1);
            for (var index = 0; index < whole; index++)
            {
                sum += line[Math.Min(index, last)];
            }

            for (var index = 0; index < line.Length; index++)
            {
                var (left, right) = (Math.Max(0, index - whole - 1), Math.Min(last, index + whole));
                sum += (uint)(line[right] - line[left]);
                var bulk = (sum * weight) + ((uint)(line[left] + line[Math.Min(last, index + whole + 1)]) * edgeWeight);
                values[index * stride] = (byte)((bulk + (1u << (FractionBits - 1))) >> FractionBits);
            }
        }
    }
}
