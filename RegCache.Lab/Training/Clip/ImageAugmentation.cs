using System.Diagnostics;
using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Training.Clip;

/// <summary>The random changes of a training image: crop, then colours.</summary>
/// <param name="Crop">The random crop; null resizes and crops at the centre.</param>
/// <param name="Jitter">The change of colours; null keeps them.</param>
/// <param name="JitterProbability">Share of the images that <paramref name="Jitter"/> changes.</param>
/// <param name="GreyProbability">Share of the images that become grey.</param>
public sealed record ImageAugmentation(
    RandomCrop? Crop = null, ColorJitter? Jitter = null, double JitterProbability = 1, double GreyProbability = 0)
{
    /// <summary>Whether nothing is random.</summary>
    public bool IsNone => Crop is null && Jitter is null && GreyProbability == 0;

    /// <summary>Resizes and crops an image to the model's input, and changes its colours.</summary>
    /// <param name="image">The image, of RGB pixels.</param>
    /// <param name="preprocessor">How images become input.</param>
    /// <param name="random">Where the draws come from.</param>
    /// <param name="rgb">Receives [H,W,3].</param>
    public void Apply(DecodedImage image, ImagePreprocessor preprocessor, ref CounterRandom random, Span<byte> rgb)
    {
        if (Crop is null)
        {
            preprocessor.ToRgb(image, rgb);
        }
        else
        {
            preprocessor.ToRgb(image, Crop.Draw(image.Width, image.Height, ref random), rgb);
        }

        if (Jitter is not null && random.NextBool(JitterProbability))
        {
            Jitter.Apply(rgb, ref random);
        }

        if (GreyProbability > 0 && random.NextBool(GreyProbability))
        {
            ColorJitter.ToGrey(rgb);
        }
    }
}

/// <summary>The random resized crop of CLIP's training, with torchvision's rule and OpenCLIP's areas.</summary>
/// <param name="SmallestArea">Smallest share of the image's area.</param>
/// <param name="LargestArea">Largest share of the image's area.</param>
public sealed record RandomCrop(double SmallestArea = 0.9, double LargestArea = 1)
{
    private const int Tries = 10;
    private const double NarrowestAspect = 3.0 / 4;
    private const double WidestAspect = 4.0 / 3;

    /// <summary>Draws a box: uniform area, log-uniform aspect; after ten misfits the largest centred box of a legal aspect.</summary>
    public CropBox Draw(int width, int height, ref CounterRandom random)
    {
        for (var attempt = 0; attempt < Tries; attempt++)
        {
            var area = width * (double)height * random.Next(SmallestArea, LargestArea);
            var aspect = Math.Exp(random.Next(Math.Log(NarrowestAspect), Math.Log(WidestAspect)));
            var boxWidth = (int)Math.Round(Math.Sqrt(area * aspect));
            var boxHeight = (int)Math.Round(Math.Sqrt(area / aspect));
            if (boxWidth > 0 && boxWidth <= width && boxHeight > 0 && boxHeight <= height)
            {
                var top = random.NextIndex(height - boxHeight + 1);
                var left = random.NextIndex(width - boxWidth + 1);
                return new(left, top, boxWidth, boxHeight);
            }
        }

        var ratio = (double)width / height;
        var (fallbackWidth, fallbackHeight) = ratio < NarrowestAspect
            ? (width, (int)Math.Round(width / NarrowestAspect))
            : ratio > WidestAspect ? ((int)Math.Round(height * WidestAspect), height) : (width, height);
        return new((width - fallbackWidth) / 2, (height - fallbackHeight) / 2, fallbackWidth, fallbackHeight);
    }
}

/// <summary>Random changes of colour, as torchvision's ColorJitter, in the 8-bit arithmetic of Pillow's image operations.</summary>
/// <param name="Brightness">Largest change of the brightness factor from 1.</param>
/// <param name="Contrast">Largest change of the contrast factor from 1.</param>
/// <param name="Saturation">Largest change of the saturation factor from 1.</param>
/// <param name="Hue">Largest turn of the hue in full circles, at most 0.5.</param>
public sealed record ColorJitter(double Brightness, double Contrast, double Saturation, double Hue)
{
    /// <summary>Draws the four factors and their order, and changes an image.</summary>
    /// <param name="rgb">Pixels [H,W,3].</param>
    /// <param name="random">Where the draws come from.</param>
    public void Apply(Span<byte> rgb, ref CounterRandom random)
    {
        var order = random.NextPermutation(4);
        double[] factors =
        [
            random.Next(Math.Max(0, 1 - Brightness), 1 + Brightness),
            random.Next(Math.Max(0, 1 - Contrast), 1 + Contrast),
            random.Next(Math.Max(0, 1 - Saturation), 1 + Saturation),
            random.Next(-Hue, Hue),
        ];
        foreach (var change in order)
        {
            switch (change)
            {
                case 0:
                    ChangeBrightness(rgb, factors[0]);
                    break;
                case 1:
                    ChangeContrast(rgb, factors[1]);
                    break;
                case 2:
                    ChangeSaturation(rgb, factors[2]);
                    break;
                case 3:
                    TurnHue(rgb, factors[3]);
                    break;
                default:
                    throw new UnreachableException();
            }
        }
    }

    /// <summary>Replaces every pixel by its grey value.</summary>
    /// <param name="rgb">Pixels [H,W,3].</param>
    public static void ToGrey(Span<byte> rgb) => ChangeSaturation(rgb, 0);

    internal static void ChangeBrightness(Span<byte> rgb, double factor)
    {
        foreach (ref var value in rgb)
        {
            value = Blend(0, value, factor);
        }
    }

    internal static void ChangeContrast(Span<byte> rgb, double factor)
    {
        var sum = 0L;
        for (var pixel = 0; pixel < rgb.Length; pixel += 3)
        {
            sum += Grey(rgb[pixel..]);
        }

        var mean = (byte)((sum / (rgb.Length / 3.0)) + 0.5);
        foreach (ref var value in rgb)
        {
            value = Blend(mean, value, factor);
        }
    }

    internal static void ChangeSaturation(Span<byte> rgb, double factor)
    {
        for (var pixel = 0; pixel < rgb.Length; pixel += 3)
        {
            var grey = Grey(rgb[pixel..]);
            for (var channel = pixel; channel < pixel + 3; channel++)
            {
                rgb[channel] = Blend(grey, rgb[channel], factor);
            }
        }
    }

    internal static void TurnHue(Span<byte> rgb, double turn)
    {
        var shift = (byte)(int)(turn * 255);
        for (var pixel = 0; pixel < rgb.Length; pixel += 3)
        {
            var (hue, saturation, value) = ToHsv(rgb[pixel], rgb[pixel + 1], rgb[pixel + 2]);
            (rgb[pixel], rgb[pixel + 1], rgb[pixel + 2]) = FromHsv((byte)(hue + shift), saturation, value);
        }
    }

    private static byte Grey(ReadOnlySpan<byte> rgb) => (byte)(((rgb[0] * 19595) + (rgb[1] * 38470) + (rgb[2] * 7471) + 0x8000) >> 16);

    // Truncates, as Pillow does.
    private static byte Blend(byte from, byte to, double share) =>
        (byte)Math.Clamp(from + ((float)share * (to - from)), 0, 255);

    private static (byte Hue, byte Saturation, byte Value) ToHsv(byte red, byte green, byte blue)
    {
        var (largest, smallest) = (Math.Max(red, Math.Max(green, blue)), Math.Min(red, Math.Min(green, blue)));
        if (largest == smallest)
        {
            return (0, 0, largest);
        }

        float spread = largest - smallest;
        var (fromRed, fromGreen, fromBlue) = ((largest - red) / spread, (largest - green) / spread, (largest - blue) / spread);
        var sixths = red == largest ? fromBlue - fromGreen : green == largest ? 2 + fromRed - fromBlue : 4 + fromGreen - fromRed;
        var hue = (float)(((sixths / 6.0) + 1) % 1);
        return ((byte)(hue * 255), (byte)(spread / largest * 255), largest);
    }

    private static (byte Red, byte Green, byte Blue) FromHsv(byte hue, byte saturation, byte value)
    {
        var sixths = hue * 6f / 255;
        var sector = (int)sixths;
        var (part, share) = (sixths - sector, saturation / 255f);
        byte Level(float missing) => (byte)Math.Clamp(MathF.Round(value * (1 - missing), MidpointRounding.AwayFromZero), 0, 255);
        var (low, falling, rising) = (Level(share), Level(share * part), Level(share * (1 - part)));
        return (sector % 6) switch
        {
            0 => (value, rising, low),
            1 => (falling, value, low),
            2 => (low, value, rising),
            3 => (low, falling, value),
            4 => (rising, low, value),
            _ => (value, low, falling),
        };
    }
}
