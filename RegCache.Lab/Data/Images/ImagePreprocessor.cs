using System.Buffers;
using System.Diagnostics;
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
    /// <exception cref="UserException">A size, a standard deviation, the crop ratio or the divisor is out of its range.</exception>
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

        if (options.ResizeTo is var (resizedHeight, resizedWidth)
            && (resizedHeight is < 1 or > MaximumSize || resizedWidth is < 1 or > MaximumSize))
        {
            throw new UserException($"Images cannot be resized to {resizedWidth} x {resizedHeight} pixels: choose sides from 1 to {MaximumSize}.");
        }

        if (!(options.Divisor > 0 && double.IsFinite(options.Divisor)))
        {
            throw new UserException($"Pixels cannot be divided by {options.Divisor}: choose a finite number above 0.");
        }

        Options = options;
        _instructions = instructions;
        _normalization = new Normalization(options.Mean, deviation, options.Divisor);
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

    /// <summary>Normalises pixels: (byte / divisor - mean) / standard deviation.</summary>
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
            case PixelLayout.Grey16:
                Grey16Resampler.Run(
                    image.Grey16()[firstPixel..], image.Width, plan.Columns, plan.Rows, plan.Visible, target, targetStride);
                break;
            default:
                throw new UnreachableException();
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
