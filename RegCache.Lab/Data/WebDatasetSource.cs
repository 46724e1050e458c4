using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// Image-text pairs in tar shards, as the webdataset library writes them. The shards are indexed once; samples are then read in
/// any order. Members are grouped by their path up to the first dot of the base name; samples without an image or a text are
/// left out, and counted in <see cref="Inventory"/>. A shard that is packed with gzip is unpacked into the folder for temporary files.
/// </summary>
public sealed class WebDatasetSource : IPairSource
{
    private const int LongestText = 1 << 20;
    private static readonly string[] _imageFields = ["jpg", "png", "jpeg", "webp"];
    private static readonly UTF8Encoding _strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly List<FileStream> _shards = [];
    private readonly List<Sample> _samples = [];
    private readonly DecodingOptions _decoding;

    /// <summary>Indexes shards.</summary>
    /// <param name="shards">The shards' paths, in order.</param>
    /// <param name="decoding">Which image files are taken; null: the defaults.</param>
    /// <exception cref="UserException">A shard is missing, is no tar file, damaged or cut off, or none of them holds a pair.</exception>
    public WebDatasetSource(IReadOnlyList<string> shards, DecodingOptions? decoding = null)
    {
        _decoding = decoding ?? DecodingOptions.Default;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var findings = new Findings();
        try
        {
            foreach (var path in shards)
            {
                Index(path, hash, findings);
            }

            var source = shards.Count == 1 ? $"the shard {shards[0]}" : $"the {shards.Count} shards {shards[0]} to {shards[^1]}";
            if (_samples.Count == 0)
            {
                throw findings.NoPair(source);
            }

            Inventory = new(source, $"{_samples.Count} image-text pairs", findings.LeftOut.Reasons, [.. findings.Warnings, .. CaptionCheck.Warnings(this)]);
        }
        catch
        {
            Dispose();
            throw;
        }

        Fingerprint = Convert.ToHexStringLower(hash.GetHashAndReset()) + _decoding.Key;
    }

    /// <inheritdoc />
    public int Count => _samples.Count;

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <inheritdoc />
    public DataInventory Inventory { get; }

    /// <inheritdoc />
    public string Name(int index) => _samples[index].Name;

    /// <inheritdoc />
    public DecodedImage Load(int index) => ImageDecoder.Decode(Read(index, _samples[index].Image), Name(index), _decoding);

    /// <inheritdoc />
    public string Caption(int index)
    {
        try
        {
            return _strictUtf8.GetString(Read(index, _samples[index].Text));
        }
        catch (DecoderFallbackException exception)
        {
            throw new UserException($"The text of {Name(index)} is not UTF-8: convert it or remove the pair.", exception);
        }
    }

    /// <inheritdoc />
    public void Dispose() => _shards.ForEach(shard => shard.Dispose());

    private void Index(string path, IncrementalHash hash, Findings findings)
    {
        try
        {
            if (Directory.Exists(path))
            {
                throw new UserException($"The shard {path} is a folder: name the tar files in it, like {path.TrimEnd('/')}/{{00000..00010}}.tar.");
            }

            var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            _shards.Add(stream);
            hash.AppendData(Encoding.UTF8.GetBytes($"{Path.GetFileName(path)} {stream.Length}\n"));
            if (stream.Length == 0)
            {
                findings.Warnings.Add($"The shard {path} is empty (0 bytes): fetch it again.");
                return;
            }

            if (IsGzip(stream))
            {
                _shards[^1] = Unpack(stream, path);
                stream.Dispose();
            }

            Index(path, new TarIndex(_shards[^1].SafeFileHandle, path), findings);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The shard {path} cannot be read");
        }
    }

    private static bool IsGzip(FileStream stream)
    {
        Span<byte> start = stackalloc byte[2];
        return RandomAccess.Read(stream.SafeFileHandle, start, 0) == 2 && start is [0x1F, 0x8B];
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

    private void Index(string path, TarIndex tar, Findings findings)
    {
        var file = Path.GetFileName(path);
        var shard = new ShardFindings(file);
        string? key = null;
        var fields = new Dictionary<string, Part>();
        foreach (var member in tar.Members())
        {
            findings.Members++;
            if (Split(member, file, findings.LeftOut) is not var (memberKey, field))
            {
                continue;
            }

            if (memberKey != key || fields.ContainsKey(field))
            {
                Add(path, key, fields, shard, findings);
                (key, fields) = (memberKey, []);
            }

            fields[field] = new(member.Offset, member.Length);
        }

        Add(path, key, fields, shard, findings);
        findings.Add(shard);
        findings.Warnings.AddRange(tar.Warnings);
    }

    private static (string Key, string Field)? Split(TarMember member, string shard, LeftOutCounter leftOut)
    {
        var name = member.Name;
        switch (member.Kind)
        {
            case TarMemberKind.Folder:
                return null;
            case TarMemberKind.Link:
                leftOut.Add("links to other members", $"{shard}/{name}");
                return null;
            case TarMemberKind.Other:
                leftOut.Add("members that are no files", $"{shard}/{name}");
                return null;
        }

        var slash = name.LastIndexOf('/') + 1;
        var dot = name.IndexOf('.', slash);
        if (name.StartsWith("__", StringComparison.Ordinal) && name.EndsWith("__", StringComparison.Ordinal))
        {
            return null;
        }

        if (dot <= slash)
        {
            leftOut.Add("members whose name has no key in front of a dot", $"{shard}/{name}");
            return null;
        }

        return (name[..dot], name[(dot + 1)..].ToLowerInvariant());
    }

    private void Add(string path, string? key, Dictionary<string, Part> fields, ShardFindings shard, Findings findings)
    {
        if (key is null)
        {
            return;
        }

        var image = _imageFields.FirstOrDefault(fields.ContainsKey);
        var hasText = fields.TryGetValue("txt", out var text);
        findings.Extensions.UnionWith(fields.Keys.Where(field => field != image && field != "txt").Select(field => $".{field}"));
        switch (image, hasText)
        {
            case ({ } found, true) when text.Length <= LongestText && fields[found].Length <= Array.MaxLength:
                _samples.Add(new($"{path}/{key}.{found}", _shards.Count - 1, fields[found], text));
                break;
            case (not null, true):
                throw new UserException($"{path}: the sample {key} is larger than this kit reads; take it out of the shard.");
            case ({ } alone, false):
                shard.Images.Add((key, alone));
                break;
            case (null, true):
                shard.Texts.Add(key);
                break;
            case (null, false):
                findings.LeftOut.Add("samples with neither an image nor a .txt", $"{shard.File}/{key}.{fields.Keys.First()}");
                break;
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

    /// <summary>The halves of pairs that were found in a shard.</summary>
    private sealed record ShardFindings(string File)
    {
        public List<(string Key, string Field)> Images { get; } = [];

        public List<string> Texts { get; } = [];
    }

    /// <summary>What all shards held besides pairs.</summary>
    private sealed class Findings
    {
        private int _images;
        private int _texts;
        private int _apart;

        public LeftOutCounter LeftOut { get; } = new();

        public List<string> Warnings { get; } = [];

        public int Members { get; set; }

        /// <summary>Extensions of what is neither an image that is read nor a text.</summary>
        public SortedSet<string> Extensions { get; } = new(StringComparer.Ordinal);

        public void Add(ShardFindings shard)
        {
            _images += shard.Images.Count;
            _texts += shard.Texts.Count;
            var (images, texts) = (shard.Images.Select(image => image.Key).ToHashSet(), shard.Texts.ToHashSet());
            foreach (var (key, field) in shard.Images)
            {
                _apart += texts.Contains(key) ? 1 : 0;
                LeftOut.Add(texts.Contains(key) ? "pairs whose image and text are not side by side" : "images without a .txt", $"{shard.File}/{key}.{field}");
            }

            foreach (var key in shard.Texts.Where(key => !images.Contains(key)))
            {
                LeftOut.Add("texts without an image", $"{shard.File}/{key}.txt");
            }
        }

        /// <summary>Why there is no pair.</summary>
        public UserException NoPair(string source)
        {
            var others = Extensions.Count == 0 ? "" : $" (there are {string.Join(", ", Extensions.Take(5))}{(Extensions.Count > 5 ? ", ..." : "")})";
            var images = string.Join(", ", _imageFields.Select(field => $".{field}"));
            var why = (_images, _texts) switch
            {
                _ when Members == 0 => $"it is empty{(Warnings.Count > 0 ? $" ({Warnings[0].TrimEnd('.')})" : "")}; fetch it again",
                _ when _apart > 0 =>
                    $"{_images} images and {_texts} texts, {_apart} of them with the same key, are never side by side; pack them sorted by name (tar --sort=name)",
                ( > 0, 0) => $"{_images} images have no captions, which are read from members .txt{others}; add them",
                (0, > 0) => $"{_texts} captions have no images, which are read from members {images}{others}; convert or add them",
                ( > 0, > 0) =>
                    $"{_images} images and {_texts} texts have different keys; the names of a pair differ only behind the first dot, like 000.jpg and 000.txt",
                _ when Extensions.Count > 0 =>
                    $"behind the first dot of a name there is {string.Join(", ", Extensions.Take(5))}; a pair has one of {images} and .txt there",
                _ => $"all of its {Members} members are left out: {string.Join("; ", LeftOut.Reasons)}",
            };
            return new($"There is no image-text pair in {source}: {why}.");
        }
    }
}
