using System.Text;

namespace RegCache.Lab.Data;

/// <summary>Says what a file is that should have been something else, by its first bytes.</summary>
internal static class ContentKind
{
    /// <summary>The bytes that <see cref="Of"/> wants to see, at most.</summary>
    public const int Length = 512;

    /// <summary>What the file is, with its article: <c>a TIFF image</c>; null when that is not known.</summary>
    /// <param name="file">The file or its beginning.</param>
    public static string? Of(ReadOnlySpan<byte> file)
    {
        var start = file[..Math.Min(Length, file.Length)];
        return start switch
        {
            [0x1F, 0x8B, ..] => "a gzip file",
            [(byte)'B', (byte)'Z', (byte)'h', ..] => "a bzip2 file",
            [0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0, ..] => "an xz file",
            [0x28, 0xB5, 0x2F, 0xFD, ..] => "a Zstandard file",
            [(byte)'P', (byte)'K', 3 or 5, 4 or 6, ..] => "a zip file",
            [(byte)'7', (byte)'z', 0xBC, 0xAF, ..] => "a 7z file",
            [(byte)'R', (byte)'a', (byte)'r', (byte)'!', ..] => "a RAR file",
            [(byte)'P', (byte)'A', (byte)'R', (byte)'1', ..] => "a Parquet table",
            [(byte)'I', (byte)'I', 42 or 43, 0, ..] or [(byte)'M', (byte)'M', 0, 42 or 43, ..] => "a TIFF image",
            [(byte)'P', >= (byte)'1' and <= (byte)'6', (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n', ..] => "a PPM, PGM or PBM image",
            [(byte)'P', (byte)'7', (byte)'\r' or (byte)'\n', ..] => "a PAM image",
            [_, _, _, _, (byte)'f', (byte)'t', (byte)'y', (byte)'p', (byte)'a', (byte)'v', (byte)'i', ..] => "an AVIF image",
            [_, _, _, _, (byte)'f', (byte)'t', (byte)'y', (byte)'p', (byte)'h' or (byte)'m', _, ..] => "a HEIC image or an MP4 video",
            [_, _, _, _, (byte)'f', (byte)'t', (byte)'y', (byte)'p', ..] => "an MP4 video",
            [0, 0, 0, 12, (byte)'j', (byte)'P', ..] or [0xFF, 0x4F, 0xFF, 0x51, ..] => "a JPEG 2000 image",
            [0, 0, 0, 12, (byte)'J', (byte)'X', (byte)'L', ..] or [0xFF, 0x0A, ..] => "a JPEG XL image",
            [(byte)'8', (byte)'B', (byte)'P', (byte)'S', ..] => "a Photoshop file",
            [0, 0, 1, 0, ..] => "an icon",
            [(byte)'%', (byte)'P', (byte)'D', (byte)'F', ..] => "a PDF",
            [0xFF, 0xD8, 0xFF, ..] => "a JPEG image",
            [0x89, (byte)'P', (byte)'N', (byte)'G', ..] => "a PNG image",
            [(byte)'G', (byte)'I', (byte)'F', (byte)'8', ..] => "a GIF image",
            [(byte)'R', (byte)'I', (byte)'F', (byte)'F', ..] => "a RIFF file",
            _ when start.Length == Length && start[257..].StartsWith("ustar"u8) => "a tar file",
            _ when !start.IsEmpty && !start.ContainsAnyExcept((byte)0) => "nothing but zero bytes",
            _ => OfText(start),
        };
    }

    private static string? OfText(ReadOnlySpan<byte> start)
    {
        if (start.IsEmpty || start.IndexOfAnyInRange((byte)0, (byte)8) >= 0 || start.IndexOfAnyInRange((byte)14, (byte)31) >= 0)
        {
            return null;
        }

        var text = Encoding.UTF8.GetString(start).TrimStart('\uFEFF', ' ', '\t', '\r', '\n');
        bool Begins(string with) => text.StartsWith(with, StringComparison.OrdinalIgnoreCase);
        return Begins("version https://git-lfs") ? "a Git LFS pointer, not the file itself"
            : Begins("<!doctype html") || Begins("<html") ? "an HTML page"
            : Begins("<svg") || Begins("<?xml") ? "an SVG or XML file"
            // The last character may be cut in two.
            : text.AsSpan(0, Math.Max(0, text.Length - 1)).Contains('\uFFFD') ? null
            : "a text file";
    }
}
