using SixLabors.ImageSharp;

namespace RegCache.Lab.Notebooks;

/// <summary>Pictures as PNG.</summary>
internal static class PictureFormat
{
    // Notebooks carry binary formats as base64.
    public static void WriteBase64(Image image, TextWriter writer)
    {
        using var png = new MemoryStream();
        image.SaveAsPng(png);
        writer.Write(Convert.ToBase64String(png.GetBuffer(), 0, (int)png.Length));
    }
}
