namespace SixLabors.ImageSharp;

public static class ImageExtensions
{
    public static void Save(this Image source, string path)
    {
        if (!Path.GetExtension(path).Equals(".png", StringComparison.OrdinalIgnoreCase))
        {
            throw new UnknownImageFormatException($"No encoder was found for the extension of '{path}'; .png is the one there is.");
        }

        source.SaveAsPng(path);
    }

    public static void SaveAsPng(this Image source, string path)
    {
        using var stream = File.Create(path);
        source.SaveAsPng(stream);
    }

    public static void SaveAsPng(this Image source, Stream stream) => source.WritePng(stream);
}
