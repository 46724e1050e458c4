using System.Buffers;
using RegCache.Lab.Data.Images.Decoding;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.Images;

/// <summary>
/// Decodes JPEG, PNG, WebP, GIF, BMP and PPM files, told apart by their content, to the bytes that Pillow 9.4 gives for them;
/// of animations the first frame. SkiaSharp decodes all but PPM; where the system has libjpeg-turbo, that decodes JPEG to
/// the same bytes in less time. The EXIF orientation is ignored, as in the published pipelines.
/// </summary>
/// <remarks>
/// Two kinds come as <see cref="PixelLayout.Rgb"/> though Pillow keeps them as they are until they are resized: BMP files
/// with a palette, and CMYK files where libjpeg-turbo is missing. Their pixels are Pillow's; without
/// <see cref="ImageReaderOptions.RgbOnLoad"/> their resized pixels are not. Where libjpeg-turbo is missing, what a truncated JPEG
/// file lacks may be filled with other pixels than Pillow's, in progressive files and behind restart marks.
/// </remarks>
public static class ImageDecoder
{
    /// <summary>The formats, as messages name them.</summary>
    internal const string Formats = "JPEG, PNG, WebP, GIF, BMP or PPM";

    /// <summary>Reads and decodes a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">Which files are taken; null: the defaults.</param>
    /// <exception cref="UserException">
    /// The file cannot be read, is empty, truncated, damaged, too large or none of the formats.
    /// </exception>
    public static DecodedImage Load(string path, DecodingOptions? options = null)
    {
        using var file = FileContent.Read(path);
        return Decode(file.Bytes, path, options);
    }

    /// <summary>Decodes a file that is in memory.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">What errors call it: a path, or a shard and a member.</param>
    /// <param name="options">Which files are taken; null: the defaults.</param>
    /// <exception cref="UserException">
    /// The file is empty, truncated, damaged, too large or none of the formats, or the decoder is missing
    /// (<see cref="UserException.ConcernsAllInput"/>).
    /// </exception>
    public static DecodedImage Decode(ReadOnlySpan<byte> file, string name, DecodingOptions? options = null)
    {
        if (file.IsEmpty)
        {
            throw new UserException($"The image {name} is empty: fetch it again or remove it.");
        }

        try
        {
            return DecodeKnown(file, name, options ?? DecodingOptions.Default);
        }
        catch (Exception e) when (e is not (UserException or OutOfMemoryException or TypeLoadException or TypeInitializationException))
        {
            throw DecodingError.Damaged(name, "image", $"{e.GetType().Name}: {e.Message}");
        }
    }

    /// <summary>Whether a file is of one of the formats, by its first 32 bytes.</summary>
    internal static bool Recognises(ReadOnlySpan<byte> start) =>
        start is [0xFF, 0xD8, 0xFF, ..]
            or [0x89, (byte)'P', (byte)'N', (byte)'G', ..]
            or [(byte)'G', (byte)'I', (byte)'F', (byte)'8', ..]
            or [(byte)'B', (byte)'M', ..]
            or [(byte)'R', (byte)'I', (byte)'F', (byte)'F', _, _, _, _, (byte)'W', (byte)'E', (byte)'B', (byte)'P', ..]
            or [(byte)'P', >= (byte)'1' and <= (byte)'6', (byte)' ' or (>= (byte)'\t' and <= (byte)'\r'), ..];

    private static DecodedImage DecodeKnown(ReadOnlySpan<byte> file, string name, DecodingOptions options) => file switch
    {
        [0xFF, 0xD8, 0xFF, ..] => JpegDecoder.Decode(TurboJpeg.Instance, file, name, options),
        [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => SampleDecoder.DecodePng(file, name, options),
        [(byte)'G', (byte)'I', (byte)'F', (byte)'8', ..] => SampleDecoder.DecodeGif(file, name, options),
        [(byte)'R', (byte)'I', (byte)'F', (byte)'F', _, _, _, _, (byte)'W', (byte)'E', (byte)'B', (byte)'P', ..] =>
            SkiaDecoder.Decode(file, name, "WebP", options),
        // Of 5 bits a colour Skia makes other bytes than Pillow.
        [(byte)'B', (byte)'M', ..] when file.Length > 28 && file[14] >= 40 && file[28] == 16 =>
            throw DecodingError.Unsupported(name, "16 bits a pixel"),
        [(byte)'B', (byte)'M', ..] => SkiaDecoder.Decode(file, name, "BMP", options),
        [(byte)'P', >= (byte)'1' and <= (byte)'6', (byte)' ' or (>= (byte)'\t' and <= (byte)'\r'), ..] =>
            NetpbmDecoder.Decode(file, name, options),
        _ => throw DecodingError.OtherKind(name, file),
    };
}

/// <summary>Which image files are taken besides those that are whole and of a usual size. Options compare by value.</summary>
public sealed record DecodingOptions
{
    /// <summary>The largest <see cref="MaxPixels"/>: the pixels that fit into 2 GB.</summary>
    public const long MostMaxPixels = 500_000_000;

    /// <summary>The options that hold unless others are given.</summary>
    public static DecodingOptions Default { get; } = new();

    /// <summary>
    /// The most pixels, columns times rows, that an image may have, from 1 to <see cref="MostMaxPixels"/>. Larger ones are refused as
    /// decompression bombs before memory is taken for them. Where Pillow refuses them, too, unless told otherwise.
    /// </summary>
    /// <exception cref="UserException">The number is out of its range.</exception>
    public long MaxPixels
    {
        get;
        init => field = value is >= 1 and <= MostMaxPixels
            ? value
            : throw new UserException($"Images cannot be limited to {value} pixels: choose a number from 1 to {MostMaxPixels}.");
    } = 178_956_970;

    /// <summary>
    /// Decode JPEG files that end early as far as they go, like Pillow with <c>LOAD_TRUNCATED_IMAGES</c>, instead of refusing them.
    /// What is missing is grey, or coarse in a progressive file.
    /// </summary>
    public bool TruncatedImages { get; init; }

    /// <summary>What these options add to a data set's fingerprint, for they decide what a model sees; empty for the defaults.</summary>
    internal string Key =>
        (MaxPixels == Default.MaxPixels ? "" : $"-at most {MaxPixels} pixels") + (TruncatedImages ? "-truncated images, too" : "");
}

/// <summary>The messages about image files that cannot be used.</summary>
internal static class DecodingError
{
    public static UserException Truncated(string name, string format) =>
        new($"The {format} file {name} is truncated: fetch it again or remove it{(format == "JPEG" ? ", or take what there is of it (--truncated-images)" : "")}.");

    public static UserException Damaged(string name, string format, string reason) =>
        new($"The {format} file {name} is damaged ({reason.TrimEnd('.')}): fetch it again or remove it.");

    public static UserException TruncatedOrDamaged(string name, string format) =>
        new($"The {format} file {name} is truncated or damaged: fetch it again or remove it.");

    public static UserException Unsupported(string name, string what) =>
        new($"The image {name} uses {what}, which is not supported: convert it to RGB.");

    public static UserException OtherKind(string name, ReadOnlySpan<byte> file) => new(
        $"{name} is not a {ImageDecoder.Formats} image{(ContentKind.Of(file) is { } kind ? $" but {kind}" : "")}: convert it or remove it.");

    /// <summary>What the system says about a file that cannot be opened or read.</summary>
    public static UserException CannotBeRead(Exception error, string path)
    {
        var reason = error switch
        {
            // .NET puts this character in the place of bytes that are no UTF-8, so the name leads nowhere.
            FileNotFoundException or DirectoryNotFoundException when path.Contains('\uFFFD', StringComparison.Ordinal) =>
                "its name is not UTF-8; rename it",
            FileNotFoundException when new FileInfo(path).LinkTarget is { } target => $"it is a link to {target}, which does not exist; mend or remove it",
            UnauthorizedAccessException when Directory.Exists(path) => "it is a folder; correct its name or remove it",
            UnauthorizedAccessException => "permission is denied; check the owner and mode of the file",
            _ => null,
        };
        return reason is null
            ? FileErrors.ToUserException(error, $"The image {path} cannot be read")
            : new UserException($"The image {path} cannot be read: {reason}.", error);
    }

    /// <summary>Refuses sizes of decompression bombs before memory is taken for them.</summary>
    public static void CheckSize(string name, long width, long height, DecodingOptions options)
    {
        if (width < 1 || height < 1)
        {
            throw new UserException($"The image {name} has the size {width} x {height}: fetch it again or remove it.");
        }

        if (width * height > options.MaxPixels)
        {
            throw new UserException(
                $"The image {name} claims {width} x {height} pixels, more than the {options.MaxPixels} that are accepted: " +
                "make it smaller or remove it, or accept more (--max-pixels).");
        }

        if (Math.Max(width, height) > DecodedImage.MaximumSide)
        {
            throw new UserException(
                $"The image {name} claims {width} x {height} pixels, more than the {DecodedImage.MaximumSide} a side that are accepted: " +
                "make it smaller or remove it.");
        }
    }
}

/// <summary>A whole file in pooled memory.</summary>
internal readonly struct FileContent : IDisposable
{
    private readonly byte[] _buffer;
    private readonly int _length;

    private FileContent(byte[] buffer, int length)
    {
        _buffer = buffer;
        _length = length;
    }

    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, _length);

    /// <exception cref="UserException">The file is missing, not readable or larger than 2 GB.</exception>
    public static FileContent Read(string path)
    {
        byte[]? buffer = null;
        try
        {
            using var handle = File.OpenHandle(path, options: FileOptions.SequentialScan);
            var size = RandomAccess.GetLength(handle);
            if (size > Array.MaxLength)
            {
                throw new UserException($"The image {path} is larger than 2 GB: make it smaller or remove it.");
            }

            buffer = ArrayPool<byte>.Shared.Rent((int)size);
            var length = 0;
            while (length < (int)size)
            {
                var read = RandomAccess.Read(handle, buffer.AsSpan(length, (int)size - length), length);
                if (read == 0)
                {
                    break;
                }

                length += read;
            }

            return new FileContent(buffer, length);
        }
        catch (Exception e) when (FileErrors.IsFileError(e))
        {
            if (buffer is not null)
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }

            throw DecodingError.CannotBeRead(e, path);
        }
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(_buffer);
}
