using System.Text;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// Images as somebody names them one by one: files, pipes, <c>-</c> for standard input, and whole sets (a folder, or what
/// <see cref="ImageSetFormats"/> knows), in the order given.
/// </summary>
public sealed class NamedImages : IImageItems, IDisposable
{
    private const string StandardInput = "-";

    private readonly List<(IImageItems Items, int Index)> _images = [];
    private readonly List<ImageSet> _sets = [];
    private readonly DecodingOptions _decoding;

    private NamedImages(DecodingOptions decoding) => _decoding = decoding;

    /// <inheritdoc />
    public int Count => _images.Count;

    /// <summary>What listing the sets found; single files are not listed.</summary>
    public IReadOnlyList<DataInventory> Inventories => [.. _sets.Select(set => set.Inventory)];

    /// <summary>Finds the images; none is decoded yet.</summary>
    /// <param name="names">The names.</param>
    /// <param name="skipMissing">Leave files that do not exist to the reader, which may skip them, instead of refusing them here.</param>
    /// <param name="decoding">Which image files are taken; null: the defaults.</param>
    /// <param name="cancellation">Stops the listing of sets.</param>
    /// <exception cref="UserException">A file does not exist, a set cannot be listed, or standard input is named twice.</exception>
    public static NamedImages Open(
        IReadOnlyList<string> names, bool skipMissing = false, DecodingOptions? decoding = null, CancellationToken cancellation = default)
    {
        if (names.Count(name => name == StandardInput) > 1)
        {
            throw new UserException($"{StandardInput} (standard input) is named more than once; it holds one image.");
        }

        var images = new NamedImages(decoding ?? DecodingOptions.Default);
        try
        {
            foreach (var name in names)
            {
                images.Add(name, skipMissing, cancellation);
            }

            return images;
        }
        catch
        {
            images.Dispose();
            throw;
        }
    }

    /// <inheritdoc />
    public string Name(int index) => _images[index].Items.Name(_images[index].Index);

    /// <inheritdoc />
    public DecodedImage Load(int index) => _images[index].Items.Load(_images[index].Index);

    /// <inheritdoc />
    public void Dispose() => _sets.ForEach(set => set.Dispose());

    private void Add(string name, bool skipMissing, CancellationToken cancellation)
    {
        if (name != StandardInput && (Directory.Exists(name) || ImageSetFormats.Recognises(name)))
        {
            var set = ImageSetFormats.Open(name, new(Cancellation: cancellation) { Decoding = _decoding });
            _sets.Add(set);
            _images.AddRange(Enumerable.Range(0, set.Count).Select(index => ((IImageItems)set, index)));
            return;
        }

        if (name != StandardInput && !skipMissing && !File.Exists(name))
        {
            throw DecodingError.CannotBeRead(new FileNotFoundException(), name);
        }

        _images.Add((new SingleImage(name, _decoding), 0));
    }

    // Read from the beginning to the end, as a pipe must be.
    private sealed class SingleImage(string path, DecodingOptions decoding) : IImageItems
    {
        public int Count => 1;

        public string Name(int index) => path;

        public DecodedImage Load(int index)
        {
            try
            {
                return ImageDecoder.Decode(path == StandardInput ? ReadStandardInput() : SmallFile.Read(path, Array.MaxLength, "an image"), path, decoding);
            }
            catch (Exception exception) when (FileErrors.IsFileError(exception))
            {
                throw DecodingError.CannotBeRead(exception, path);
            }
        }

        private static byte[] ReadStandardInput()
        {
            using var input = Console.OpenStandardInput();
            var content = new MemoryStream();
            input.CopyTo(content);
            return content.ToArray();
        }
    }
}

/// <summary>A file of captions, one a line.</summary>
public static class CaptionLines
{
    private const long MostBytes = 1L << 30;

    private static readonly UTF8Encoding _strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads the captions, in order.</summary>
    /// <param name="path">A file in UTF-8, or a pipe; a byte-order mark and the ends of lines do not count.</param>
    /// <exception cref="UserException">The file cannot be read, is not UTF-8, or has an empty line; the message names the line.</exception>
    public static IReadOnlyList<string> Read(string path)
    {
        byte[] content;
        try
        {
            content = SmallFile.Read(path, MostBytes, "a file of captions");
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The captions {path} cannot be read");
        }

        ReadOnlySpan<byte> bytes = content;
        bytes = bytes.StartsWith(Encoding.UTF8.Preamble) ? bytes[Encoding.UTF8.Preamble.Length..] : bytes;
        bytes = bytes.EndsWith("\n"u8) ? bytes[..^1] : bytes;
        var captions = new List<string>();
        foreach (var line in bytes.Split((byte)'\n'))
        {
            captions.Add(Decode(bytes[line], path, captions.Count + 1));
        }

        return captions;
    }

    private static string Decode(ReadOnlySpan<byte> line, string path, int number)
    {
        try
        {
            var caption = _strictUtf8.GetString(line).TrimEnd('\r');
            return !string.IsNullOrWhiteSpace(caption)
                ? caption
                : throw new UserException($"Line {number} of the captions {path} is empty: every line is a caption; fill or remove it.");
        }
        catch (DecoderFallbackException exception)
        {
            throw new UserException($"Line {number} of the captions {path} is not UTF-8: convert the file.", exception);
        }
    }
}
