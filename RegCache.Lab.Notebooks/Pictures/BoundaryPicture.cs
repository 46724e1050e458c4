using RegCache.Lab.Data.Images;
using RegCache.Lab.Pooling;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace RegCache.Lab.Notebooks.Pictures;

/// <summary>
/// Where runs of patches end: the image, how likely a boundary is (black over red and yellow to white), the boundaries in red, and below them all patches
/// in the order of runs, those at boundaries tinted.
/// </summary>
public static class BoundaryPicture
{
    private const int Gap = 4;
    private const float Tint = 0.4f;

    private static readonly Rgb24 _red = new(255, 0, 0);

    /// <summary>Draws one image.</summary>
    /// <param name="image">A normalised image [1,3,H,W].</param>
    /// <param name="preprocess">How it was normalised.</param>
    /// <param name="maps">Its boundaries.</param>
    /// <param name="scale">Pixels of the picture for one of the image.</param>
    public static Image<Rgb24> Draw(Tensor image, PreprocessOptions preprocess, BoundaryMaps maps, int scale = 2)
    {
        ArgumentNullException.ThrowIfNull(maps);
        var pixels = PictureGrid.Enlarge(InputPixels.Of(image, preprocess)[0], preprocess.Width, scale);
        var (width, height) = (preprocess.Width * scale, preprocess.Height * scale);
        using var above = PictureGrid.Compose([[pixels, Heat(maps, width, height), Overlay(pixels, width, maps)]], width);
        var strip = Strip(pixels, width, maps, above.Width);
        var whole = new Image<Rgb24>(above.Width, above.Height + Gap + strip.Height, new Rgb24(255, 255, 255));
        using (strip)
        {
            Paste(above, whole, 0);
            Paste(strip, whole, above.Height + Gap);
        }

        return whole;
    }

    private static void Paste(Image<Rgb24> part, Image<Rgb24> whole, int top)
    {
        for (var y = 0; y < part.Height; y++)
        {
            for (var x = 0; x < part.Width; x++)
            {
                whole[x, top + y] = part[x, y];
            }
        }
    }

    // Bilinear to the image's size, then the usual "hot" colours: red fills first, then green, then blue.
    private static byte[] Heat(BoundaryMaps maps, int width, int height)
    {
        using var scope = torch.NewDisposeScope();
        var rows = maps.Soft.Count / maps.Columns;
        var fine = torch.nn.functional.interpolate(
            torch.tensor(maps.Soft.ToArray(), [1, 1, rows, maps.Columns]), [height, width], mode: torch.InterpolationMode.Bilinear, align_corners: false);
        (float From, float To)[] ramps = [(0, 0.375f), (0.375f, 0.75f), (0.75f, 1)];
        var picture = new byte[width * height * 3];
        foreach (var (pixel, value) in fine.data<float>().ToArray().Index())
        {
            foreach (var (channel, (from, to)) in ramps.Index())
            {
                picture[(pixel * 3) + channel] = (byte)(255 * Math.Clamp((value - from) / (to - from), 0, 1));
            }
        }

        return picture;
    }

    private static byte[] Overlay(byte[] image, int width, BoundaryMaps maps)
    {
        var (picture, height, rows) = ((byte[])image.Clone(), image.Length / 3 / width, maps.Hard.Count / maps.Columns);
        for (var pixel = 0; pixel < width * height; pixel++)
        {
            var (y, x) = Math.DivRem(pixel, width);
            if (maps.Hard[(y * rows / height * maps.Columns) + (x * maps.Columns / width)])
            {
                Redden(picture.AsSpan(pixel * 3, 3));
            }
        }

        return picture;
    }

    // As many patches side by side as fit, each in the picture's own size.
    private static Image<Rgb24> Strip(byte[] image, int width, BoundaryMaps maps, int across)
    {
        var (height, rows) = (image.Length / 3 / width, maps.Hard.Count / maps.Columns);
        var (patchWidth, patchHeight) = (width / maps.Columns, height / rows);
        var perLine = Math.Max(1, across / patchWidth);
        var lines = (maps.Hard.Count + perLine - 1) / perLine;
        var strip = new Image<Rgb24>(across, lines * patchHeight, new Rgb24(255, 255, 255));
        foreach (var (place, patch) in maps.Order.Index())
        {
            var (row, column) = Math.DivRem((int)patch, maps.Columns);
            var (line, slot) = Math.DivRem(place, perLine);
            for (var y = 0; y < patchHeight; y++)
            {
                for (var x = 0; x < patchWidth; x++)
                {
                    var pixel = image.AsSpan(((((row * patchHeight) + y) * width) + (column * patchWidth) + x) * 3, 3).ToArray();
                    if (maps.Hard[(int)patch])
                    {
                        Redden(pixel);
                    }

                    strip[(slot * patchWidth) + x, (line * patchHeight) + y] = new(pixel[0], pixel[1], pixel[2]);
                }
            }
        }

        return strip;
    }

    private static void Redden(Span<byte> pixel)
    {
        ReadOnlySpan<byte> red = [_red.R, _red.G, _red.B];
        for (var channel = 0; channel < 3; channel++)
        {
            pixel[channel] = (byte)(((1 - Tint) * pixel[channel]) + (Tint * red[channel]));
        }
    }
}
