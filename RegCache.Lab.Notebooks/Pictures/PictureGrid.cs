using RegCache.Lab.Reports;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace RegCache.Lab.Notebooks.Pictures;

/// <summary>Pictures of one size in rows and columns, as one picture.</summary>
public static class PictureGrid
{
    private const int Gap = 4;

    /// <summary>Puts the pictures side by side.</summary>
    /// <param name="rows">Pictures [height,width,3], row by row; all rows have as many.</param>
    /// <param name="width">Columns of one picture.</param>
    public static Image<Rgb24> Compose(IReadOnlyList<IReadOnlyList<byte[]>> rows, int width)
    {
        var height = rows[0][0].Length / 3 / width;
        var (across, down) = ((rows[0].Count * (width + Gap)) - Gap, (rows.Count * (height + Gap)) - Gap);
        var pixels = new byte[across * down * 3];
        pixels.AsSpan().Fill(byte.MaxValue);
        foreach (var (row, pictures) in rows.Index())
        {
            foreach (var (column, picture) in pictures.Index())
            {
                for (var line = 0; line < height; line++)
                {
                    var target = ((((row * (height + Gap)) + line) * across) + (column * (width + Gap))) * 3;
                    picture.AsSpan(line * width * 3, width * 3).CopyTo(pixels.AsSpan(target));
                }
            }
        }

        return Image.LoadPixelData<Rgb24>(pixels, across, down);
    }

    /// <summary>A picture with every pixel repeated in both directions.</summary>
    /// <param name="picture">Pixels [height,width,3].</param>
    /// <param name="width">Columns of the picture.</param>
    /// <param name="scale">How often.</param>
    public static byte[] Enlarge(ReadOnlySpan<byte> picture, int width, int scale)
    {
        var height = picture.Length / 3 / width;
        var enlarged = new byte[picture.Length * scale * scale];
        for (var y = 0; y < height * scale; y++)
        {
            for (var x = 0; x < width * scale; x++)
            {
                var source = ((y / scale * width) + (x / scale)) * 3;
                picture.Slice(source, 3).CopyTo(enlarged.AsSpan(((y * width * scale) + x) * 3));
            }
        }

        return enlarged;
    }

    /// <summary>Writes the pictures as one PNG file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="rows">Pictures [height,width,3], row by row; all rows have as many.</param>
    /// <param name="width">Columns of one picture.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static void WritePng(string path, IReadOnlyList<IReadOnlyList<byte[]>> rows, int width)
    {
        using var image = Compose(rows, width);
        AtomicFile.Write(path, stream => image.SaveAsPng(stream));
    }
}
