namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>Decodes JPEG to the bytes that Pillow gets from the same libjpeg-turbo.</summary>
internal static class JpegDecoder
{
    public static bool Recognises(ReadOnlySpan<byte> file) => file.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF]);

    public static DecodedImage Decode(TurboJpeg library, ReadOnlySpan<byte> file, string name)
    {
        if (!library.ReadHeader(file, out var width, out var height, out var space, out var error))
        {
            throw Unusable(file, name, error);
        }

        if (space < 0)
        {
            throw DecodingError.Unsupported(name, "a JPEG colour space that is neither grey, RGB, YCbCr, CMYK nor YCCK");
        }

        DecodingError.CheckSize(name, width, height);
        var cmyk = space is TurboJpeg.SpaceCmyk or TurboJpeg.SpaceYcck;
        var image = DecodedImage.Rent(name, width, height, cmyk ? PixelLayout.Cmyk : PixelLayout.Rgb, null);
        try
        {
            Decompress(library, file, name, image);
            if (cmyk)
            {
                // By Adobe's convention inks are stored inverted; Pillow takes it as given.
                Invert(image.Writable);
            }

            return image;
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    private static void Decompress(TurboJpeg library, ReadOnlySpan<byte> file, string name, DecodedImage image)
    {
        var format = image.Layout == PixelLayout.Cmyk ? TurboJpeg.FormatCmyk : TurboJpeg.FormatRgb;
        switch (library.Decompress(file, image.Writable, image.Width, image.Height, format, out var error))
        {
            case TurboJpeg.Outcome.Failure:
                throw Unusable(file, name, error);

            // Like Pillow: odd but complete data are decoded as they are, incomplete data are refused.
            case TurboJpeg.Outcome.Warning when JpegMarkers.IsTruncated(file):
                throw Unusable(file, name, error);
        }
    }

    private static UserException Unusable(ReadOnlySpan<byte> file, string name, string error) =>
        JpegMarkers.IsTruncated(file)
            ? DecodingError.Truncated(name, "JPEG")
            : DecodingError.Damaged(name, "JPEG", error);

    private static void Invert(Span<byte> inks)
    {
        for (var i = 0; i < inks.Length; i++)
        {
            inks[i] = (byte)~inks[i];
        }
    }
}
