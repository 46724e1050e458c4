using System.Diagnostics;

namespace RegCache.Lab.Training.Augmentation;

/// <summary>Random changes of colour, as torchvision's ColorJitter, in the 8-bit arithmetic of Pillow's image operations.</summary>
/// <param name="Brightness">Largest change of the brightness factor from 1.</param>
/// <param name="Contrast">Largest change of the contrast factor from 1.</param>
/// <param name="Saturation">Largest change of the saturation factor from 1.</param>
/// <param name="Hue">Largest turn of the hue in full circles, at most 0.5; 0 leaves it alone to the bit.</param>
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
                    PixelOperations.Brightness(rgb, factors[0]);
                    break;
                case 1:
                    PixelOperations.Contrast(rgb, factors[1]);
                    break;
                case 2:
                    PixelOperations.Saturation(rgb, factors[2]);
                    break;
                case 3:
                    // Even a turn by nothing would round, by way of hue, saturation and value.
                    if (Hue > 0)
                    {
                        TurnHue(rgb, factors[3]);
                    }

                    break;
                default:
                    throw new UnreachableException();
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
