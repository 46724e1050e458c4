using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace RegCache.Lab.Evaluation;

/// <summary>Where register tokens sit: images with their outlier patches outlined, above the map of their patch norms.</summary>
public static class RegisterPicture
{
    private static readonly Rgb24 _outline = new(230, 30, 120);

    /// <summary>Draws the images in one row and their norm maps (logarithmic, dark is small) in the next.</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="preprocess">How they were normalised.</param>
    /// <param name="norms">Their patch norms.</param>
    /// <param name="scale">Pixels of the picture for one of an image.</param>
    public static Image<Rgb24> Draw(Tensor images, PreprocessOptions preprocess, PatchNorms norms, int scale = 2)
    {
        var width = preprocess.Width * scale;
        var pixels = InputPixels.Of(images, preprocess);
        return PictureGrid.Compose(
            [
                [.. pixels.Select((image, index) => Outline(image, preprocess.Width, scale, norms.Outliers(index), norms.Columns))],
                [.. norms.Norms.Select(map => Map(map, norms.Columns, width, pixels[0].Length / 3 / preprocess.Width * scale))],
            ],
            width);
    }

    private static byte[] Outline(byte[] image, int side, int scale, IReadOnlyList<bool> outliers, int columns)
    {
        var (width, height) = (side * scale, image.Length / 3 / side * scale);
        var rows = outliers.Count / columns;
        var picture = new byte[width * height * 3];
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                var (row, top, bottom) = Cell(y, height, rows);
                var (column, left, right) = Cell(x, width, columns);
                var isEdge = Math.Min(Math.Min(y - top, bottom - y), Math.Min(x - left, right - x)) < 2;
                var source = (((y / scale) * side) + (x / scale)) * 3;
                var color = isEdge && outliers[(row * columns) + column]
                    ? _outline
                    : new(image[source], image[source + 1], image[source + 2]);
                Put(picture, (y * width) + x, color);
            }
        }

        return picture;
    }

    private static byte[] Map(IReadOnlyList<float> norms, int columns, int width, int height)
    {
        var (low, high) = (Math.Log(Math.Max(norms.Min(), 1e-6f)), Math.Log(Math.Max(norms.Max(), 1e-6f)));
        var picture = new byte[width * height * 3];
        for (var pixel = 0; pixel < width * height; pixel++)
        {
            var (y, x) = Math.DivRem(pixel, width);
            var norm = norms[(y * (norms.Count / columns) / height * columns) + (x * columns / width)];
            var share = high > low ? (Math.Log(Math.Max(norm, 1e-6f)) - low) / (high - low) : 0;
            // From near black over purple to yellow, as the field's usual colour maps.
            Put(picture, pixel, new((byte)(20 + (230 * share)), (byte)(15 + (205 * share * share)), (byte)(60 + (110 * Math.Sin(Math.PI * share)))));
        }

        return picture;
    }

    // The cell of a grid that a pixel is in, with its first and last pixel.
    private static (int Index, int First, int Last) Cell(int pixel, int pixels, int cells)
    {
        var index = pixel * cells / pixels;
        return (index, (index * pixels + cells - 1) / cells, (((index + 1) * pixels) + cells - 1) / cells - 1);
    }

    private static void Put(byte[] picture, int pixel, Rgb24 color) =>
        (picture[pixel * 3], picture[(pixel * 3) + 1], picture[(pixel * 3) + 2]) = (color.R, color.G, color.B);
}
