using RegCache.Lab.Data.Images;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace RegCache.Lab.Notebooks.Pictures;

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
                [.. norms.Norms.Select(map => HeatMapPixels.Draw(map, norms.Columns, width, preprocess.Height * scale, logarithmic: true))],
            ],
            width);
    }

    private static byte[] Outline(byte[] image, int side, int scale, IReadOnlyList<bool> outliers, int columns)
    {
        var (width, height) = (side * scale, image.Length / 3 / side * scale);
        var rows = outliers.Count / columns;
        var picture = PictureGrid.Enlarge(image, side, scale);
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                var (row, top, bottom) = Cell(y, height, rows);
                var (column, left, right) = Cell(x, width, columns);
                var isEdge = Math.Min(Math.Min(y - top, bottom - y), Math.Min(x - left, right - x)) < 2;
                if (isEdge && outliers[(row * columns) + column])
                {
                    var pixel = ((y * width) + x) * 3;
                    (picture[pixel], picture[pixel + 1], picture[pixel + 2]) = (_outline.R, _outline.G, _outline.B);
                }
            }
        }

        return picture;
    }

    // The cell of a grid that a pixel is in, with its first and last pixel.
    private static (int Index, int First, int Last) Cell(int pixel, int pixels, int cells)
    {
        var index = pixel * cells / pixels;
        return (index, (index * pixels + cells - 1) / cells, (((index + 1) * pixels) + cells - 1) / cells - 1);
    }
}

/// <summary>Where attention goes: images in one row, below them a row of maps for each block.</summary>
public static class AttentionPicture
{
    /// <summary>Draws the maps, dark for little attention, each between its own least and most.</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="preprocess">How they were normalised.</param>
    /// <param name="maps">Maps of these images.</param>
    /// <param name="scale">Pixels of the picture for one of an image.</param>
    public static Image<Rgb24> Draw(Tensor images, PreprocessOptions preprocess, IReadOnlyList<AttentionMaps> maps, int scale = 2)
    {
        var (width, height) = (preprocess.Width * scale, preprocess.Height * scale);
        return PictureGrid.Compose(
            [
                [.. InputPixels.Of(images, preprocess).Select(image => PictureGrid.Enlarge(image, preprocess.Width, scale))],
                .. maps.Select(block => (IReadOnlyList<byte[]>)
                    [.. block.Maps.Select(map => HeatMapPixels.Draw(map, block.Columns, width, height, logarithmic: false))]),
            ],
            width);
    }

    /// <summary>Lays a map over its image: bilinear to the image's size, half of each.</summary>
    /// <param name="image">Pixels [height,width,3].</param>
    /// <param name="width">Columns of the image.</param>
    /// <param name="map">One value a patch, row-major.</param>
    /// <param name="columns">Columns of the patch grid.</param>
    /// <returns>Pixels [height,width,3].</returns>
    public static byte[] Overlay(ReadOnlySpan<byte> image, int width, IReadOnlyList<float> map, int columns)
    {
        using var scope = torch.NewDisposeScope();
        var height = image.Length / 3 / width;
        var fine = torch.nn.functional.interpolate(
            torch.tensor(map.ToArray(), [1, 1, map.Count / columns, columns]), [height, width], mode: torch.InterpolationMode.Bilinear, align_corners: false);
        var heat = HeatMapPixels.Draw(fine.data<float>().ToArray(), width, width, height, logarithmic: false);
        for (var value = 0; value < heat.Length; value++)
        {
            heat[value] = (byte)((heat[value] + image[value]) / 2);
        }

        return heat;
    }
}

/// <summary>Values of a patch grid as a picture: small ones near black, over purple, to yellow, as the field's usual colour maps.</summary>
internal static class HeatMapPixels
{
    /// <summary>Draws the values between their smallest and their largest.</summary>
    /// <param name="values">One value a patch, row-major.</param>
    /// <param name="columns">Columns of the grid.</param>
    /// <param name="width">Columns of the picture.</param>
    /// <param name="height">Rows of the picture.</param>
    /// <param name="logarithmic">Whether equal ratios, not equal differences, are equally far apart in colour.</param>
    /// <returns>Pixels [height,width,3].</returns>
    public static byte[] Draw(IReadOnlyList<float> values, int columns, int width, int height, bool logarithmic)
    {
        const float smallest = 1e-6f;
        double Scaled(float value) => logarithmic ? Math.Log(Math.Max(value, smallest)) : value;
        var (low, high, rows) = (Scaled(values.Min()), Scaled(values.Max()), values.Count / columns);
        var picture = new byte[width * height * 3];
        for (var pixel = 0; pixel < width * height; pixel++)
        {
            var (y, x) = Math.DivRem(pixel, width);
            var value = Scaled(values[(y * rows / height * columns) + (x * columns / width)]);
            var share = high > low ? (value - low) / (high - low) : 0;
            picture[pixel * 3] = (byte)(20 + (230 * share));
            picture[(pixel * 3) + 1] = (byte)(15 + (205 * share * share));
            picture[(pixel * 3) + 2] = (byte)(60 + (110 * Math.Sin(Math.PI * share)));
        }

        return picture;
    }
}
