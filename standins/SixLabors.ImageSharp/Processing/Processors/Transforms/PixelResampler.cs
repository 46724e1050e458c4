using System.Numerics;
using SixLabors.ImageSharp.PixelFormats;

namespace SixLabors.ImageSharp.Processing.Processors.Transforms;

/// <summary>Resizes in two passes of floating-point vectors with premultiplied alpha.</summary>
internal static class PixelResampler
{
    public static TPixel[] Resize<TPixel>(ReadOnlySpan<TPixel> pixels, Size from, Size to, IResampler sampler)
        where TPixel : unmanaged, IPixel<TPixel>
    {
        var source = new Vector4[pixels.Length];
        for (var i = 0; i < pixels.Length; i++)
        {
            Rgba32 pixel = default;
            pixels[i].ToRgba32(ref pixel);
            var alpha = pixel.A / 255f;
            source[i] = new Vector4(pixel.R * alpha, pixel.G * alpha, pixel.B * alpha, pixel.A);
        }

        var across = Pass(source, from.Width, 1, from.Height, from.Width, to.Width, sampler);
        var down = Pass(across, from.Height, to.Width, to.Width, 1, to.Height, sampler);
        var result = new TPixel[to.Width * to.Height];
        for (var x = 0; x < to.Width; x++)
        {
            for (var y = 0; y < to.Height; y++)
            {
                result[(y * to.Width) + x].FromRgba32(ToPixel(down[(y * to.Width) + x]));
            }
        }

        return result;
    }

    /// <summary>Resamples lines of <paramref name="length"/> vectors, <paramref name="step"/> apart, to a new length.</summary>
    private static Vector4[] Pass(
        Vector4[] source, int length, int step, int lines, int lineStep, int newLength, IResampler sampler)
    {
        // Lines stay as far apart as before when they are columns, and become rows of the new length otherwise.
        var newLineStep = step == 1 ? newLength : lineStep;
        var result = new Vector4[lines * newLength];
        var scale = length / (float)newLength;
        var isNearest = sampler is NearestResampler;
        var filterScale = isNearest ? 1 : Math.Max(scale, 1);
        for (var i = 0; i < newLength; i++)
        {
            var center = isNearest ? MathF.Floor((i + 0.5f) * scale) + 0.5f : (i + 0.5f) * scale;
            var first = Math.Max(0, (int)MathF.Floor(center - (sampler.Radius * filterScale)));
            var last = Math.Min(length - 1, (int)MathF.Ceiling(center + (sampler.Radius * filterScale)));
            var sum = 0f;
            for (var tap = first; tap <= last; tap++)
            {
                sum += sampler.GetValue((tap + 0.5f - center) / filterScale);
            }

            for (var tap = first; tap <= last; tap++)
            {
                var weight = sampler.GetValue((tap + 0.5f - center) / filterScale) / sum;
                for (var line = 0; line < lines; line++)
                {
                    result[(line * newLineStep) + (i * step)] += source[(line * lineStep) + (tap * step)] * weight;
                }
            }
        }

        return result;
    }

    private static Rgba32 ToPixel(Vector4 value)
    {
        var alpha = Math.Clamp(value.W / 255f, 0, 1);
        var color = alpha > 0 ? value / alpha : Vector4.Zero;
        return new Rgba32(ToByte(color.X), ToByte(color.Y), ToByte(color.Z), ToByte(value.W));
    }

    private static byte ToByte(float value) => (byte)Math.Clamp(MathF.Round(value), 0, 255);
}
