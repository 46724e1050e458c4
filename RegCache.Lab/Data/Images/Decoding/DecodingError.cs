namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>The sentences for image files that cannot be used.</summary>
internal static class DecodingError
{
    public static UserException Truncated(string name, string format) =>
        new($"The {format} file {name} is truncated: fetch it again or remove it.");

    public static UserException Damaged(string name, string format, string reason) =>
        new($"The {format} file {name} is damaged ({reason.TrimEnd('.')}): fetch it again or remove it.");

    public static UserException Unsupported(string name, string what) =>
        new($"The image {name} uses {what}, which is not supported: convert it to RGB.");

    /// <summary>Refuses sizes of decompression bombs before memory is taken for them.</summary>
    public static void CheckSize(string name, long width, long height)
    {
        if (width < 1 || height < 1)
        {
            throw new UserException($"The image {name} has the size {width} x {height}: fetch it again or remove it.");
        }

        if (width * height > DecodedImage.MaximumPixels || Math.Max(width, height) > DecodedImage.MaximumSide)
        {
            throw new UserException(
                $"The image {name} claims {width} x {height} pixels, more than the {DecodedImage.MaximumPixels} " +
                $"in all and {DecodedImage.MaximumSide} a side that are accepted: make it smaller or remove it.");
        }
    }
}
