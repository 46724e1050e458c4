using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// Image-text pairs in tar shards, as the webdataset library writes them. The shards are indexed once; samples are then read in
/// any order. Members are grouped by their path up to the first dot of the base name; samples without an image or a text are
/// left out.
/// </summary>
public sealed class WebDatasetSource : IPairSource
{
    private const int LongestText = 1 << 20;
    private static readonly string[] _imageFields = ["jpg", "png", "jpeg", "webp"];

    private readonly List<FileStream> _shards = [];
    private readonly List<Sample> _samples = [];

    /// <summary>Indexes shards.</summary>
    /// <param name="shards">The shards' paths, in order.</param>
    /// <exception cref="UserException">A shard is missing, is no tar file, or none of them holds a pair.</exception>
    public WebDatasetSource(IReadOnlyList<string> shards)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        try
        {
            foreach (var path in shards)
            {
                Index(path, hash);
            }
        }
        catch
        {
            Dispose();
            throw;
        }

        if (_samples.Count == 0)
        {
            Dispose();
            throw new UserException(
                $"The shards {string.Join(", ", shards.Take(3))} hold no image with a text; members need one key, like 000.jpg and 000.txt.");
        }

        Fingerprint = Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <inheritdoc />
    public int Count => _samples.Count;

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <inheritdoc />
    public string Name(int index) => _samples[index].Name;

    /// <inheritdoc />
    public DecodedImage LoadImage(int index) => ImageDecoder.Decode(Read(index, _samples[index].Image), Name(index));

    /// <inheritdoc />
    public string Caption(int index) => Encoding.UTF8.GetString(Read(index, _samples[index].Text));

    /// <inheritdoc />
    public void Dispose() => _shards.ForEach(shard => shard.Dispose());

    private void Index(string path, IncrementalHash hash)
    {
        try
        {
            var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            _shards.Add(stream);
            hash.AppendData(Encoding.UTF8.GetBytes($"{Path.GetFileName(path)} {stream.Length}\n"));
            using var tar = new TarReader(stream, leaveOpen: true);
            string? key = null;
            var fields = new Dictionary<string, Part>();
            while (tar.GetNextEntry() is { } entry)
            {
                if (Split(entry) is not var (entryKey, field))
                {
                    continue;
                }

                if (entryKey != key || fields.ContainsKey(field))
                {
                    Add(path, key, fields);
                    (key, fields) = (entryKey, []);
                }

                fields[field] = new(entry.DataOffset, entry.Length);
            }

            Add(path, key, fields);
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException)
        {
            throw new UserException($"The shard {path} is damaged or no tar file: fetch it again.", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The shard {path} cannot be read");
        }
    }

    private static (string Key, string Field)? Split(TarEntry entry)
    {
        if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile) || entry.DataOffset < 0)
        {
            return null;
        }

        var slash = entry.Name.LastIndexOf('/') + 1;
        var dot = entry.Name.IndexOf('.', slash);
        var isMeta = entry.Name.StartsWith("__", StringComparison.Ordinal) && entry.Name.EndsWith("__", StringComparison.Ordinal);
        return dot <= slash || isMeta ? null : (entry.Name[..dot], entry.Name[(dot + 1)..].ToLowerInvariant());
    }

    private void Add(string path, string? key, Dictionary<string, Part> fields)
    {
        var image = _imageFields.FirstOrDefault(fields.ContainsKey);
        if (key is not null && image is not null && fields.TryGetValue("txt", out var text))
        {
            if (text.Length > LongestText || fields[image].Length > int.MaxValue)
            {
                throw new UserException($"{path}: the sample {key} is larger than this kit reads; take it out of the shard.");
            }

            _samples.Add(new($"{path}/{key}.{image}", _shards.Count - 1, fields[image], text));
        }
    }

    private byte[] Read(int index, Part part)
    {
        var sample = _samples[index];
        var content = new byte[part.Length];
        try
        {
            var done = 0;
            while (done < content.Length)
            {
                var read = RandomAccess.Read(_shards[sample.Shard].SafeFileHandle, content.AsSpan(done), part.Offset + done);
                done += read > 0 ? read : throw new UserException($"{sample.Name} is cut off: its shard became shorter while it was used.");
            }

            return content;
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"{sample.Name} cannot be read");
        }
    }

    private readonly record struct Part(long Offset, long Length);

    private sealed record Sample(string Name, int Shard, Part Image, Part Text);
}
