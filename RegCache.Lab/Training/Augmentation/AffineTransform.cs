using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RegCache.Lab.Training.Augmentation;

/// <summary>
/// Rotation, shear and translation as Pillow's <c>Image.transform</c> with <c>AFFINE</c> and <c>BICUBIC</c> (a = -1), to the byte: the
/// matrix maps the centre of a target pixel to the source, the sums are in double precision in Pillow's order, rows and columns beyond
/// the border repeat the outermost ones, and what lies outside is filled. The three channels of a pixel are computed together.
/// </summary>
internal readonly record struct AffineTransform(double A, double B, double C, double D, double E, double F)
{
    private const int Channels = 3;

    /// <summary>The colour of what comes from outside: the mean of ImageNet.</summary>
    private static ReadOnlySpan<byte> Fill => [124, 116, 104];

    /// <summary>Moves every row by a multiple of its number.</summary>
    public static AffineTransform ShearX(double factor) => new(1, factor, 0, 0, 1, 0);

    /// <summary>Moves every column by a multiple of its number.</summary>
    public static AffineTransform ShearY(double factor) => new(1, 0, 0, factor, 1, 0);

    /// <summary>Moves everything by pixels.</summary>
    public static AffineTransform Translate(double columns, double rows) => new(1, 0, columns, 0, 1, rows);

    /// <summary>Turns about the centre, by degrees against the clock, as <c>Image.rotate</c>.</summary>
    public static AffineTransform Rotate(double degrees, int width, int height)
    {
        // Pillow rounds to 15 decimals; Math.Round works in binary and may miss by a bit.
        static double Rounded(double value) =>
            double.Parse(value.ToString("F15", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

        var wrapped = degrees % 360 is < 0 and var below ? below + 360 : degrees % 360;
        var angle = -(wrapped * (Math.PI / 180));
        var (cosine, sine, minusSine) = (Rounded(Math.Cos(angle)), Rounded(Math.Sin(angle)), Rounded(-Math.Sin(angle)));
        var (x, y) = (width / 2.0, height / 2.0);
        return new(
            cosine, sine, ((cosine * -x) + (sine * -y) + 0.0) + x,
            minusSine, cosine, ((minusSine * -x) + (cosine * -y) + 0.0) + y);
    }

    /// <summary>Transforms a picture.</summary>
    public void Apply(Picture picture)
    {
        var (width, height) = (picture.Width, picture.Height);
        ref var source = ref MemoryMarshal.GetReference(picture.Padded);
        var target = picture.Spare;
        for (int y = 0, at = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++, at += Channels)
            {
                var (fromX, fromY) = ((A * (x + 0.5)) + (B * (y + 0.5)) + C, (D * (x + 0.5)) + (E * (y + 0.5)) + F);
                if (fromX < 0 || fromX >= width || fromY < 0 || fromY >= height)
                {
                    Fill.CopyTo(target[at..]);
                    continue;
                }

                var pixel = Sample(ref source, width, height, fromX - 0.5, fromY - 0.5);
                (target[at], target[at + 1], target[at + 2]) = ((byte)pixel[0], (byte)pixel[1], (byte)pixel[2]);
            }
        }

        picture.Swap();
    }

    private static Vector256<double> Sample(ref byte source, int width, int height, double x, double y)
    {
        var (column, row) = (Floor(x), Floor(y));
        var (shareX, shareY) = (x - column, y - row);
        var columns = (
            Clip(column - 1, width) * Channels, Clip(column, width) * Channels, Clip(column + 1, width) * Channels, Clip(column + 2, width) * Channels);

        // At a whole row or column the polynomial is its second value, so that shears and shifts cost a quarter.
        if (shareY == 0)
        {
            return Truncated(Across(ref source, Clip(row, height) * width * Channels, columns, shareX));
        }

        Vector256<double> Line(ref byte start, int line) => Across(ref start, line * width * Channels, columns, shareX);
        var first = Line(ref source, Clip(row - 1, height));
        var second = row >= 0 && row < height ? Line(ref source, row) : first;
        var third = row + 1 >= 0 && row + 1 < height ? Line(ref source, row + 1) : second;
        var fourth = row + 2 >= 0 && row + 2 < height ? Line(ref source, row + 2) : third;
        return Truncated(Cubic(first, second, third, fourth, shareY));
    }

    private static int Floor(double value) => value < 0 ? (int)Math.Floor(value) : (int)value;

    private static int Clip(int index, int count) => index < 0 ? 0 : index < count ? index : count - 1;

    private static Vector256<double> Truncated(Vector256<double> value) =>
        Vector256.Min(Vector256.Max(value, Vector256<double>.Zero), Vector256.Create(255.0));

    private static Vector256<double> Across(ref byte source, int line, (int, int, int, int) columns, double share)
    {
        var second = Pixel(ref source, line + columns.Item2);
        return share == 0
            ? second
            : Cubic(Pixel(ref source, line + columns.Item1), second, Pixel(ref source, line + columns.Item3), Pixel(ref source, line + columns.Item4), share);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Cubic(Vector256<double> v1, Vector256<double> v2, Vector256<double> v3, Vector256<double> v4, double at)
    {
        var d = Vector256.Create(at);
        var p2 = v3 - v1;
        var p3 = ((v1 - v2) * 2.0) + v3 - v4;
        var p4 = v2 - v1 - v3 + v4;
        return v2 + (d * (p2 + (d * (p3 + (d * p4)))));
    }

    // Three bytes as three doubles; the fourth lane is whatever follows.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Pixel(ref byte source, int at)
    {
        var bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref source, at))).AsByte();
        var words = Vector128.WidenLower(Vector128.WidenLower(bytes)).AsInt32();
        return Avx.IsSupported ? Avx.ConvertToVector256Double(words) : Vector256.Create(words[0], words[1], words[2], (double)words[3]);
    }
}
