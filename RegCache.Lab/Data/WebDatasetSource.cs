using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// Image-text pairs in tar shards (clip.md, section 13.9). The shards are indexed once; samples are then read in any order.
/// Members are grouped by their path up to the first dot of the base name; samples without an image or a text are left out.
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
            throw new UserException($"The shards {string.Join(", ", shards.Take(3))} hold no image with a text; members need one key, like 000.jpg and 000.txt.");
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

/// <summary>Expands shard specifications (clip.md, section 13.9).</summary>
public static class ShardNames
{
    private const int MostNames = 1_000_000;

    /// <summary>
    /// The names that a specification stands for: <c>{000..125}</c> and <c>{a..e}</c> are ranges with an optional step
    /// <c>{0..9..3}</c>, <c>{x,y}</c> are alternatives, which may be nested, and <c>::</c> joins several specifications.
    /// </summary>
    /// <exception cref="UserException">It stands for too many names.</exception>
    public static IReadOnlyList<string> Expand(string specification)
    {
        var names = specification.Split("::").SelectMany(ExpandOne).Take(MostNames + 1).ToList();
        return names.Count <= MostNames
            ? names
            : throw new UserException($"{specification} stands for more than {MostNames} shards; name fewer.");
    }

    private static IEnumerable<string> ExpandOne(string text)
    {
        for (var open = text.IndexOf('{'); open >= 0; open = text.IndexOf('{', open + 1))
        {
            var close = Matching(text, open);
            if (close < 0 || Choices(text[(open + 1)..close]) is not { } choices)
            {
                continue;
            }

            var (before, after) = (text[..open], text[(close + 1)..]);
            return choices.SelectMany(ExpandOne).SelectMany(choice => ExpandOne(after).Select(rest => before + choice + rest));
        }

        return [text];
    }

    private static int Matching(string text, int open)
    {
        var depth = 0;
        for (var index = open; index < text.Length; index++)
        {
            depth += text[index] == '{' ? 1 : text[index] == '}' ? -1 : 0;
            if (depth == 0)
            {
                return index;
            }
        }

        return -1;
    }

    // Null: a group without comma or range is literal.
    private static IEnumerable<string>? Choices(string group)
    {
        var parts = new List<string>();
        var (depth, first) = (0, 0);
        for (var index = 0; index <= group.Length; index++)
        {
            if (index == group.Length || (group[index] == ',' && depth == 0))
            {
                parts.Add(group[first..index]);
                first = index + 1;
            }
            else
            {
                depth += group[index] == '{' ? 1 : group[index] == '}' ? -1 : 0;
            }
        }

        return parts.Count > 1 ? parts : Range(group.Split(".."));
    }

    private static IEnumerable<string>? Range(string[] parts)
    {
        if (parts.Length is not (2 or 3))
        {
            return null;
        }

        var step = 1L;
        if (parts.Length == 3 && (!long.TryParse(parts[2], out step) || step == 0))
        {
            return null;
        }

        if (long.TryParse(parts[0], out var low) && long.TryParse(parts[1], out var high))
        {
            var isPadded = parts[..2].Any(part => part.TrimStart('-') is ['0', _, ..]);
            var width = isPadded ? Math.Max(parts[0].Length, parts[1].Length) : 0;
            return Walk(low, high, step).Select(number => Pad(number, width));
        }

        return parts[0] is [var from] && parts[1] is [var to] && char.IsAsciiLetter(from) && char.IsAsciiLetter(to)
            ? Walk(from, to, step).Select(letter => ((char)letter).ToString())
            : null;
    }

    private static string Pad(long number, int width) =>
        number < 0 ? "-" + (-number).ToString().PadLeft(Math.Max(0, width - 1), '0') : number.ToString().PadLeft(width, '0');

    private static IEnumerable<long> Walk(long low, long high, long step)
    {
        var stride = Math.Abs(step) * (low <= high ? 1 : -1);
        for (var value = low; stride > 0 ? value <= high : value >= high; value += stride)
        {
            yield return value;
        }
    }
}
