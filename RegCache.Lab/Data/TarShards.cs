using System.Buffers;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// Samples in tar shards, as the webdataset library writes them. Shards are read once to learn where the members lie, which are then
/// read in any order. Members side by side are one sample when their paths agree up to the first dot of the base name; what is
/// behind that dot is the field. A shard that is packed with gzip is unpacked into the folder for temporary files.
/// </summary>
/// <param name="cancellation">Stops the listing.</param>
internal sealed class TarShards(CancellationToken cancellation = default) : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly List<FileStream> _files = [];

    /// <summary>The fields of images, the one to take first if there are several.</summary>
    public static IReadOnlyList<string> ImageFields { get; } = ["jpg", "png", "jpeg", "webp"];

    /// <summary>The same as people write them: <c>.jpg, .png, .jpeg, .webp</c>.</summary>
    public static string ImageFieldsInWords { get; } = InWords(ImageFields);

    /// <summary>Members that belong to no sample, and what a caller leaves out.</summary>
    public LeftOutCounter LeftOut { get; } = new();

    /// <summary>What looks wrong with the shards.</summary>
    public List<string> Warnings { get; } = [];

    /// <summary>Members of any kind so far.</summary>
    public int Members { get; private set; }

    /// <summary>Hash of the names and lengths of the shards so far.</summary>
    public string Fingerprint => Convert.ToHexStringLower(_hash.GetCurrentHash());

    /// <summary>Fields with their dots, as people write them, at most five.</summary>
    public static string InWords(IEnumerable<string> fields) =>
        string.Join(", ", fields.Take(5).Select(field => $".{field}")) + (fields.Skip(5).Any() ? ", ..." : "");

    /// <summary>What messages call some shards.</summary>
    public static string Describe(IReadOnlyList<string> shards) =>
        shards.Count == 1 ? $"the shard {shards[0]}" : $"the {shards.Count} shards {shards[0]} to {shards[^1]}";

    /// <summary>Lists the samples of a shard, which stays open.</summary>
    /// <param name="path">The shard.</param>
    /// <param name="take">Is given the samples, in order.</param>
    /// <exception cref="UserException">The shard is missing, is no tar file, damaged or cut off; or <paramref name="take"/> refuses a sample.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public void List(string path, Action<ShardSample> take)
    {
        try
        {
            if (Open(path) is { } file)
            {
                var tar = new TarIndex(file.SafeFileHandle, path);
                Group(path, tar, take);
                Warnings.AddRange(tar.Warnings);
            }
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The shard {path} cannot be read");
        }
    }

    /// <summary>The content of a member. May be called from several threads.</summary>
    /// <param name="part">Where it lies.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="UserException">It cannot be read.</exception>
    public byte[] Read(TarPart part, string name)
    {
        var content = new byte[part.Length];
        Read(part, name, content);
        return content;
    }

    /// <summary>Decodes an image member; the caller disposes it. May be called from several threads.</summary>
    /// <param name="part">Where it lies.</param>
    /// <param name="name">What messages call it.</param>
    /// <param name="decoding">Which images are taken.</param>
    /// <exception cref="UserException">It cannot be read or decoded.</exception>
    public DecodedImage Decode(TarPart part, string name, DecodingOptions decoding)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(part.Length);
        try
        {
            var content = buffer.AsSpan(0, part.Length);
            Read(part, name, content);
            return ImageDecoder.Decode(content, name, decoding);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _files.ForEach(file => file.Dispose());
        _hash.Dispose();
    }

    private void Read(TarPart part, string name, Span<byte> content)
    {
        try
        {
            for (var done = 0; done < content.Length;)
            {
                var read = RandomAccess.Read(_files[part.Shard].SafeFileHandle, content[done..], part.Offset + done);
                done += read > 0 ? read : throw new UserException($"{name} is cut off: its shard became shorter while it was used.");
            }
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"{name} cannot be read");
        }
    }

    private FileStream? Open(string path)
    {
        if (Directory.Exists(path))
        {
            throw new UserException($"The shard {path} is a folder: name the tar files in it, like {path.TrimEnd('/')}/{{00000..00010}}.tar.");
        }

        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        _files.Add(file);
        _hash.AppendData(Encoding.UTF8.GetBytes($"{Path.GetFileName(path)} {file.Length}\n"));
        if (file.Length == 0)
        {
            Warnings.Add($"The shard {path} is empty (0 bytes): fetch it again.");
            return null;
        }

        if (IsGzip(file))
        {
            _files[^1] = Unpack(file, path);
            file.Dispose();
        }

        return _files[^1];
    }

    private static bool IsGzip(FileStream file)
    {
        Span<byte> start = stackalloc byte[2];
        return RandomAccess.Read(file.SafeFileHandle, start, 0) == 2 && start is [0x1F, 0x8B];
    }

    private static FileStream Unpack(FileStream packed, string path)
    {
        var folder = Path.GetTempPath();
        FileStream? unpacked = null;
        try
        {
            var name = Path.Combine(folder, $"regcache-{Guid.NewGuid():N}.tar");
            unpacked = new(name, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);
            if (!OperatingSystem.IsWindows())
            {
                // A killed process leaves nothing behind: without a name the file lives as long as it is open.
                File.Delete(name);
            }

            using var gzip = new GZipStream(packed, CompressionMode.Decompress, leaveOpen: true);
            gzip.CopyTo(unpacked);
            unpacked.Flush();
            return unpacked;
        }
        catch (Exception exception)
        {
            unpacked?.Dispose();
            throw exception is InvalidDataException
                ? new UserException($"The shard {path} is packed with gzip and damaged or cut off: fetch it again.", exception)
                : FileErrors.IsFileError(exception)
                    ? FileErrors.ToUserException(exception, $"The shard {path} is packed with gzip and cannot be unpacked into {folder} (TMPDIR)")
                    : exception;
        }
    }

    private void Group(string path, TarIndex tar, Action<ShardSample> take)
    {
        var shard = Path.GetFileName(path);
        ShardSample? sample = null;
        foreach (var member in tar.Members())
        {
            cancellation.ThrowIfCancellationRequested();
            Members++;
            if (Split(member, shard) is not var (key, field))
            {
                continue;
            }

            // A field that comes again begins a new sample, although its key is the same.
            if (sample is null || key != sample.Key || sample.Fields.ContainsKey(field))
            {
                if (sample is not null)
                {
                    take(sample);
                }

                sample = new(path, key, []);
            }

            sample.Fields[field] = new(_files.Count - 1, (int)member.Length, member.Offset);
        }

        if (sample is not null)
        {
            take(sample);
        }
    }

    private (string Key, string Field)? Split(TarMember member, string shard)
    {
        var name = member.Name;
        var slash = name.LastIndexOf('/') + 1;
        var dot = name.IndexOf('.', slash);
        var reason = member.Kind switch
        {
            TarMemberKind.Folder => null,
            TarMemberKind.Link => "links to other members",
            TarMemberKind.Other => "members that are no files",
            _ when name.StartsWith("__", StringComparison.Ordinal) && name.EndsWith("__", StringComparison.Ordinal) => null,
            _ when dot <= slash => "members whose name has no key in front of a dot",
            _ when member.Length > Array.MaxLength => "members of more than 2 GB",
            _ => "",
        };
        if (reason is "")
        {
            return (name[..dot], name[(dot + 1)..].ToLowerInvariant());
        }

        if (reason is not null)
        {
            LeftOut.Add(reason, $"{shard}/{name}");
        }

        return null;
    }
}

/// <summary>Where the content of a member lies, in 16 bytes, for there may be millions.</summary>
/// <param name="Shard">The number of the shard, in the order of listing.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Offset">The first byte in the unpacked shard.</param>
internal readonly record struct TarPart(int Shard, int Length, long Offset);

/// <summary>Members of a shard with one key.</summary>
/// <param name="Shard">The shard's path.</param>
/// <param name="Key">The members' path up to the first dot of the base name.</param>
/// <param name="Fields">The members by what is behind the dot, in lower case.</param>
internal sealed record ShardSample(string Shard, string Key, Dictionary<string, TarPart> Fields)
{
    /// <summary>The field of its image, if it has one.</summary>
    public string? ImageField => TarShards.ImageFields.FirstOrDefault(Fields.ContainsKey);

    /// <summary>The shard's name and the key, for inventories, which are not to repeat folders.</summary>
    public string ShortName(string field) => $"{Path.GetFileName(Shard)}/{Key}.{field}";
}
