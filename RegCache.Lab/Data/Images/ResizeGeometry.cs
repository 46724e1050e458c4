using System.Diagnostics;

namespace RegCache.Lab.Data.Images;

/// <summary>Where the pixels of a resized image go in the model's input.</summary>
/// <param name="ResizedWidth">Columns of the whole resized image.</param>
/// <param name="ResizedHeight">Rows of the whole resized image.</param>
/// <param name="Visible">The part of it that is kept.</param>
/// <param name="Left">The input column where that part starts.</param>
/// <param name="Top">The input row where that part starts.</param>
internal readonly record struct ResizeGeometry(int ResizedWidth, int ResizedHeight, CropBox Visible, int Left, int Top)
{
    /// <summary>The geometry for an image.</summary>
    /// <exception cref="UserException">The image is so narrow that nothing of it would be left.</exception>
    public static ResizeGeometry For(PreprocessOptions options, DecodedImage image)
    {
        int width = image.Width, height = image.Height;
        var covered = options.ResizeTo ?? (Enlarged(options.Height, options.CropRatio), Enlarged(options.Width, options.CropRatio));
        var shape = options.ResizeTo ?? (options.Height, options.Width);
        var (resizedWidth, resizedHeight) = options.ResizeMode switch
        {
            ResizeMode.None => (width, height),
            ResizeMode.Squash => (shape.Width, shape.Height),
            ResizeMode.Longest => KeepRatio(shape, width, height, Math.Max),
            ResizeMode.Shortest when covered.Width == covered.Height => ShorterSide(covered.Width, width, height),
            ResizeMode.Shortest => KeepRatio(covered, width, height, Math.Min),
            _ => throw new UnreachableException(),
        };
        if (resizedWidth < 1 || resizedHeight < 1)
        {
            throw new UserException(
                $"The image {image.Name} of {width} x {height} pixels vanishes when it is fitted into {options.Width} x {options.Height}: " +
                "remove it or choose another resize mode.");
        }

        var (left, top) = (Offsets.Of(resizedWidth, options.Width, options.CropRounding), Offsets.Of(resizedHeight, options.Height, options.CropRounding));
        return new ResizeGeometry(
            resizedWidth,
            resizedHeight,
            new CropBox(left.Cut, top.Cut, Math.Min(resizedWidth, options.Width), Math.Min(resizedHeight, options.Height)),
            left.Gap,
            top.Gap);
    }

    private static int Enlarged(int side, double ratio) => (int)Math.Floor(side / ratio);

    private static (int Width, int Height) ShorterSide(int size, int width, int height)
    {
        var longer = (int)((double)((long)size * Math.Max(width, height)) / Math.Min(width, height));
        return width <= height ? (size, longer) : (longer, size);
    }

    private static (int Width, int Height) KeepRatio(
        (int Height, int Width) shape, int width, int height, Func<double, double, double> choose)
    {
        var ratio = choose((double)height / shape.Height, (double)width / shape.Width);
        return ((int)Math.Round(width / ratio, MidpointRounding.ToEven), (int)Math.Round(height / ratio, MidpointRounding.ToEven));
    }

    /// <summary>What is cut off in front of the middle along one side, or left free there.</summary>
    private readonly record struct Offsets(int Cut, int Gap)
    {
        public static Offsets Of(int resized, int input, CropRounding rounding)
        {
            var (surplus, gap) = (Math.Max(0, resized - input), Math.Max(0, input - resized));
            return rounding switch
            {
                CropRounding.HalfEven => new((int)Math.Round(surplus / 2.0, MidpointRounding.ToEven), gap / 2),
                CropRounding.Down => new(surplus / 2, (gap + 1) / 2),
                _ => throw new UnreachableException(),
            };
        }
    }
}

/// <summary>A rectangle of whole pixels.</summary>
/// <param name="Left">The first column.</param>
/// <param name="Top">The first row.</param>
/// <param name="Width">Columns, at least 1.</param>
/// <param name="Height">Rows, at least 1.</param>
public readonly record struct CropBox(int Left, int Top, int Width, int Height)
{
    /// <summary>Whether the rectangle has pixels and lies inside an image of this size.</summary>
    public bool FitsIn(int width, int height) =>
        Left >= 0 && Top >= 0 && Width > 0 && Height > 0 && Left <= width - Width && Top <= height - Height;
}
