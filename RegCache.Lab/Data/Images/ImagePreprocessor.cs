using System.Buffers;
using RegCache.Lab.Data.Images.Resampling;

namespace RegCache.Lab.Data.Images;

/// <summary>
/// Makes model input of images, byte for byte as the published pipelines do with Pillow: resize (horizontally, then
/// vertically, in Pillow's fixed-point arithmetic), crop or pad, convert to RGB, normalise. Only what survives the crop
/// is computed. Instances are immutable and may be used by several threads at once.
/// </summary>
/// <remarks>
/// The conversion to RGB comes after the resize. Loaders of class folders, web datasets and retrieval sets hand out RGB
/// images: for them call <see cref="DecodedImage.ToRgb"/> first, which matters for palette, alpha, CMYK and 16-bit images.
/// </remarks>
public sealed class ImagePreprocessor
{
    /// <summary>The largest side of a model's input.</summary>
    public const int MaximumSize = 2048;

    private readonly InstructionSet _instructions;
    private readonly Normalization _normalization;

    /// <summary>Prepares the conversion.</summary>
    /// <exception cref="UserException">The size is not positive or a standard deviation is not.</exception>
    public ImagePreprocessor(PreprocessOptions options)
        : this(options, InstructionSets.Best)
    {
    }

    internal ImagePreprocessor(PreprocessOptions options, InstructionSet instructions)
    {
        if (options.Width is < 1 or > MaximumSize || options.Height is < 1 or > MaximumSize)
        {
            throw new UserException(
                $"Images cannot be resized to {options.Width} x {options.Height} pixels: choose sides from 1 to {MaximumSize}.");
        }

        var deviation = options.StandardDeviation;
        if (!(deviation.Red > 0 && deviation.Green > 0 && deviation.Blue > 0))
        {
            throw new UserException($"The standard deviation {deviation} must be above zero in every channel: correct it.");
        }

        if (!(options.CropRatio is > 0 and <= 1))
        {
            throw new UserException($"The crop ratio {options.CropRatio} must be above 0 and at most 1: correct it.");
        }

        Options = options;
        _instructions = instructions;
        _normalization = new Normalization(options.Mean, deviation);
    }

    /// <summary>What this preprocessor does.</summary>
    public PreprocessOptions Options { get; }

    /// <summary>Bytes of <see cref="ToRgb(DecodedImage, Span{byte})"/>: Height * Width * 3, also the floats of model input.</summary>
    public int OutputLength => Options.Height * Options.Width * 3;

    /// <summary>Resizes and crops an image.</summary>
    /// <param name="image">The image.</param>
    /// <param name="rgb">Receives [Height, Width, 3].</param>
    /// <exception cref="UserException">The image is so narrow that nothing of it would be left.</exception>
    public void ToRgb(DecodedImage image, Span<byte> rgb)
    {
        var output = rgb[..OutputLength];
        var geometry = ResizeGeometry.For(Options, image);
        if (geometry.Visible.Width < Options.Width || geometry.Visible.Height < Options.Height)
        {
            FillWith(image, output);
        }

        var stride = Options.Width * 3;
        var plan = ResamplePlan.For(
            image.Width, image.Height, geometry.ResizedWidth, geometry.ResizedHeight, geometry.Visible, Options.Interpolation);
        Resample(image, 0, plan, output[((geometry.Top * stride) + (geometry.Left * 3))..], stride);
    }

    /// <summary>
    /// Cuts a box out of an image and resizes it to the model's input without keeping its shape, always bicubic: the
    /// training-time operation (random resized crop).
    /// </summary>
    /// <param name="image">The image.</param>
    /// <param name="box">A box inside the image.</param>
    /// <param name="rgb">Receives [Height, Width, 3].</param>
    /// <exception cref="ArgumentException">The box does not lie inside the image.</exception>
    public void ToRgb(DecodedImage image, CropBox box, Span<byte> rgb)
    {
        if (!box.FitsIn(image.Width, image.Height))
        {
            throw new ArgumentException($"{box} does not lie inside {image.Width} x {image.Height} pixels.", nameof(box));
        }

        var plan = ResamplePlan.For(
            box.Width, box.Height, Options.Width, Options.Height, new CropBox(0, 0, Options.Width, Options.Height),
            Interpolation.Bicubic);
        Resample(image, (box.Top * image.Width) + box.Left, plan, rgb[..OutputLength], Options.Width * 3);
    }

    /// <summary>Normalises pixels: (byte / 255 - mean) / standard deviation.</summary>
    /// <param name="rgb">[Height, Width, 3].</param>
    /// <param name="planes">Receives [3, Height, Width].</param>
    public void Normalize(ReadOnlySpan<byte> rgb, Span<float> planes) =>
        _normalization.Apply(rgb[..OutputLength], planes[..OutputLength]);

    /// <summary>Resizes, crops and normalises an image.</summary>
    /// <param name="image">The image.</param>
    /// <param name="planes">Receives [3, Height, Width].</param>
    public void ToPlanes(DecodedImage image, Span<float> planes)
    {
        var rgb = ArrayPool<byte>.Shared.Rent(OutputLength);
        try
        {
            ToRgb(image, rgb);
            Normalize(rgb, planes);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rgb);
        }
    }

    /// <summary>Decodes a file, resizes, crops and normalises it.</summary>
    /// <param name="path">A JPEG, PNG, WebP, GIF or BMP file.</param>
    /// <param name="planes">Receives [3, Height, Width].</param>
    /// <exception cref="UserException">The file cannot be used; the message names it.</exception>
    public void LoadPlanes(string path, Span<float> planes)
    {
        using var image = ImageDecoder.Load(path);
        ToPlanes(image, planes);
    }

    private void Resample(DecodedImage image, int firstPixel, ResamplePlan plan, Span<byte> target, int targetStride)
    {
        switch (image.Layout)
        {
            case PixelLayout.Rgb:
                ByteResampler.Run(
                    plan, image.Padded[(firstPixel * 3)..], image.Width * 3, 3, target, targetStride, _instructions);
                break;
            case PixelLayout.Rgba or PixelLayout.Cmyk:
                ResampleFourChannels(image, firstPixel, plan, target, targetStride);
                break;
            case PixelLayout.Palette:
                ResamplePalette(image, firstPixel, plan, target, targetStride);
                break;
            default:
                Grey16Resampler.Run(
                    image.Grey16()[firstPixel..], image.Width, plan.Columns, plan.Rows, plan.Visible, target, targetStride);
                break;
        }
    }

    private void ResampleFourChannels(
        DecodedImage image, int firstPixel, ResamplePlan plan, Span<byte> target, int targetStride)
    {
        // An unchanged size is a copy: colours do not go through the rounding of the premultiplication then.
        var premultiplied = image.Layout == PixelLayout.Rgba && !plan.IsCopy;
        var rowBytes = plan.Visible.Width * 4;
        var resized = ArrayPool<byte>.Shared.Rent(rowBytes * plan.Visible.Height);
        using var source = premultiplied ? Premultiplied(image) : null;
        try
        {
            ByteResampler.Run(
                plan, (source ?? image).Padded[(firstPixel * 4)..], image.Width * 4, 4, resized, rowBytes, _instructions);
            for (var y = 0; y < plan.Visible.Height; y++)
            {
                var row = resized.AsSpan(y * rowBytes, rowBytes);
                var rgb = target[(y * targetStride)..];
                if (premultiplied)
                {
                    ColorConversion.UnpremultiplyToRgb(row, rgb);
                }
                else
                {
                    ColorConversion.ToRgb(image.Layout, row, default, rgb);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(resized);
        }
    }

    private static DecodedImage Premultiplied(DecodedImage image)
    {
        var premultiplied = DecodedImage.Rent(image.Name, image.Width, image.Height, PixelLayout.Rgba, null);
        ColorConversion.Premultiply(image.Pixels, premultiplied.Writable);
        return premultiplied;
    }

    private static void ResamplePalette(
        DecodedImage image, int firstPixel, ResamplePlan plan, Span<byte> target, int targetStride)
    {
        var pixels = image.Pixels[firstPixel..];
        var columns = plan.NearestColumns();
        var rows = plan.NearestRows();
        for (var y = 0; y < rows.Length; y++)
        {
            var source = pixels[(rows[y] * image.Width)..];
            var rgb = target[(y * targetStride)..];
            for (var x = 0; x < columns.Length; x++)
            {
                image.Palette.Slice(3 * source[columns[x]], 3).CopyTo(rgb[(3 * x)..]);
            }
        }
    }

    private void FillWith(DecodedImage image, Span<byte> rgb)
    {
        Span<byte> pixel = stackalloc byte[4];
        pixel.Fill(Options.Fill);
        if (image.Layout == PixelLayout.Grey16)
        {
            // Both bytes of the value would be filled; the value itself is meant.
            rgb.Fill(Options.Fill);
            return;
        }

        Span<byte> color = stackalloc byte[3];
        ColorConversion.ToRgb(image.Layout, pixel[..image.BytesPerPixel], image.Palette, color);
        for (var i = 0; i < rgb.Length; i += 3)
        {
            color.CopyTo(rgb[i..]);
        }
    }
}

/// <summary>Where the pixels of a resized image come to lie in the model's input.</summary>
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
        var (resizedWidth, resizedHeight) = options.ResizeMode switch
        {
            ResizeMode.Squash => (options.Width, options.Height),
            ResizeMode.Longest => KeepRatio(options, width, height, Math.Max),
            _ when options.Width == options.Height => ShorterSide(Enlarged(options.Width, options.CropRatio), width, height),
            _ => KeepRatio(
                options with { Width = Enlarged(options.Width, options.CropRatio), Height = Enlarged(options.Height, options.CropRatio) },
                width,
                height,
                Math.Min),
        };
        if (resizedWidth < 1 || resizedHeight < 1)
        {
            throw new UserException(
                $"The image {image.Name} of {width} x {height} pixels vanishes when it is fitted into {options.Width} x {options.Height}: " +
                "remove it or choose another resize mode.");
        }

        // What stands over is cut off half-even; what is missing is added with the smaller half in front.
        return new ResizeGeometry(
            resizedWidth,
            resizedHeight,
            new CropBox(
                Math.Max(0, HalfEven(resizedWidth - options.Width)),
                Math.Max(0, HalfEven(resizedHeight - options.Height)),
                Math.Min(resizedWidth, options.Width),
                Math.Min(resizedHeight, options.Height)),
            Math.Max(0, (options.Width - resizedWidth) / 2),
            Math.Max(0, (options.Height - resizedHeight) / 2));
    }

    private static int Enlarged(int side, double ratio) => (int)Math.Floor(side / ratio);

    private static (int Width, int Height) ShorterSide(int size, int width, int height)
    {
        var longer = (int)((double)((long)size * Math.Max(width, height)) / Math.Min(width, height));
        return width <= height ? (size, longer) : (longer, size);
    }

    private static (int Width, int Height) KeepRatio(
        PreprocessOptions options, int width, int height, Func<double, double, double> choose)
    {
        var ratio = choose((double)height / options.Height, (double)width / options.Width);
        return ((int)Math.Round(width / ratio, MidpointRounding.ToEven), (int)Math.Round(height / ratio, MidpointRounding.ToEven));
    }

    private static int HalfEven(int difference) => (int)Math.Round(difference / 2.0, MidpointRounding.ToEven);
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

/// <summary>Finished crops of a set in memory, up to a number of bytes; used by several threads.</summary>
internal sealed class CropCache(int images, long budget)
{
    private readonly byte[]?[] _crops = budget > 0 ? new byte[]?[images] : [];
    private long _left = budget;

    /// <summary>The crop of an image, or null.</summary>
    public byte[]? Find(int image) => _crops.Length == 0 ? null : Volatile.Read(ref _crops[image]);

    /// <summary>Keeps a copy of a crop while there is room.</summary>
    public void Keep(int image, ReadOnlySpan<byte> crop)
    {
        if (_crops.Length == 0 || Interlocked.Read(ref _left) < crop.Length)
        {
            return;
        }

        if (Interlocked.Add(ref _left, -crop.Length) < 0)
        {
            Interlocked.Add(ref _left, crop.Length);
        }
        else if (Interlocked.CompareExchange(ref _crops[image], crop.ToArray(), null) is not null)
        {
            Interlocked.Add(ref _left, crop.Length);
        }
    }
}
