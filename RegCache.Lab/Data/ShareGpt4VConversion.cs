using System.Formats.Tar;
using System.Globalization;
using System.Text;
using System.Text.Json;
using CsvHelper;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// Makes a training set of ShareGPT4V's list of long captions (Chen et al., ECCV 2024, arXiv:2311.12793) and the images that it names: a
/// table with two rows an image, the caption and its first sentence, and tar shards with one pair an image (docs/data.md). The list is read
/// twice, entry by entry: first to find the images, then to write shards. Whole shards that an earlier run has written stay.
/// </summary>
/// <param name="options">What is read, and where the set goes.</param>
/// <param name="progress">Told how far the work is.</param>
/// <param name="cancellation">Stops it between two images.</param>
public sealed class ShareGpt4VConversion(ShareGpt4VOptions options, IWorkProgress? progress = null, CancellationToken cancellation = default)
{
    private const int ImagesAtOnce = 64;
    private const string StateFile = "conversion.json";
    private const string Training = "train";
    private const string Validation = "val";
    private const byte NotTaken = byte.MaxValue;
    private const int LongestPlainName = 100;
    private static readonly UTF8Encoding _utf8 = new(encoderShouldEmitUTF8Identifier: false);

    private readonly IWorkProgress _progress = progress ?? SilentProgress.Instance;
    private readonly LeftOutCounter _leftOut = new();
    private readonly List<string> _missing = [];

    // For every entry the place of its image among the candidates, or NotTaken: 1.2 million paths would take more memory than anything else.
    private readonly List<byte> _found = [];

    /// <summary>Writes the set.</summary>
    /// <returns>What it holds, and what was left out.</returns>
    /// <exception cref="UserException">The list or an image cannot be read, none of the images is there, or a file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the same call goes on behind the last whole shard.</exception>
    public ShareGpt4VResult Run()
    {
        RemoveLeftovers(options.Output, PathOf(Training), PathOf(Validation));
        var tables = WriteTables();
        AtomicFile.WriteText(PathOf("missing.tsv"), string.Concat(_missing.Select(line => line + "\n").Prepend("entry\timage\n")));
        var shards = WriteShards(Validation, isTraining: false, tables.Validation) + WriteShards(Training, isTraining: true, tables.Training);
        var inventory = new DataInventory(
            options.Captions,
            $"{tables.Training} training and {tables.Validation} validation images in {shards} shards",
            _leftOut.Reasons,
            _missing.Count == 0 ? [] : [$"{_missing.Count} images are not there; {PathOf("missing.tsv")} lists them."]);
        inventory.Tell(_progress);
        return new(tables.Training, tables.Validation, shards, _missing.Count, inventory);
    }

    private string PathOf(string name) => Path.Combine(options.Output, name);

    private (int Training, int Validation) WriteTables()
    {
        var (training, validation) = (0, 0);
        AtomicFile.Write(PathOf($"{Training}.tsv"), trainStream => AtomicFile.Write(PathOf($"{Validation}.tsv"), valStream =>
        {
            var layout = new CsvWriterOptions { Separator = '\t', NewLine = "\n" };
            using var train = CsvWriter.Create(trainStream, layout, leaveOpen: true);
            using var val = CsvWriter.Create(valStream, layout, leaveOpen: true);
            string[] header = ["filepath", "title"];
            train.WriteRecord(header);
            val.WriteRecord(header);
            var keys = new HashSet<string>();
            foreach (var (index, entry) in Entries("finding images"))
            {
                _found.Add(NotTaken);
                var name = $"{options.Captions}: [{index}]";
                var key = KeyOf(entry.Image, name);
                if (!keys.Add(key))
                {
                    _leftOut.Add("entries whose image has the name of an earlier one", name);
                }
                else if (CaptionOf(entry, name).Length == 0)
                {
                    _leftOut.Add("empty captions", name);
                }
                else if (!TarShards.ImageFields.Contains(FieldOf(entry.Image)))
                {
                    _leftOut.Add($"images that are not {TarShards.ImageFieldsInWords}", entry.Image);
                }
                else if (Find(entry.Image) is not { } place)
                {
                    _leftOut.Add("images that are missing or empty", entry.Image);
                    _missing.Add($"{index}\t{entry.Image}");
                }
                else
                {
                    _found[index] = place;
                    var caption = CaptionOf(entry, name);
                    var isTraining = index >= options.ValidationEntries;
                    (training, validation) = isTraining ? (training + 1, validation) : (training, validation + 1);
                    var path = Candidates(entry.Image)[place];
                    var table = isTraining ? train : val;
                    table.WriteRecord([path, caption]);
                    table.WriteRecord([path, FirstSentence(caption)]);
                }
            }

            // A refusal leaves the tables of an earlier conversion as they are.
            if (training + validation == 0)
            {
                throw new UserException(
                    $"None of the images that {options.Captions} names is there{(_missing.Count > 0 ? $"; the first is {_missing[0].Split('\t')[1]}" : "")}: name the folders of the images (--images).");
            }

            ClaimFolder();
        }));
        return (training, validation);
    }

    // Which images go into which shard depends on what is there, so shards of another list or other images must not mix with these.
    private void ClaimFolder()
    {
        var key = ContentHash.OfValue(new
        {
            Captions = ContentHash.OfFile(options.Captions, cancellation),
            Found = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData([.. _found.Select(place => place == NotTaken ? (byte)0 : (byte)1)])),
            options.ValidationEntries,
            options.ShardSize,
        });
        var path = PathOf(StateFile);
        var known = File.Exists(path) ? ReadKey(path) : null;
        var shards = new[] { Training, Validation }.Select(PathOf).Where(Directory.Exists).SelectMany(folder => Directory.GetFiles(folder, "*.tar")).ToList();
        if (known != key && shards.Count > 0)
        {
            if (!options.Force)
            {
                throw new UserException(
                    $"{options.Output} has {shards.Count} shards of another conversion (another list, other images or another size): give another --out, or --force to make them again.");
            }

            shards.ForEach(File.Delete);
        }

        AtomicFile.WriteText(path, JsonSerializer.Serialize(new { key }) + "\n");
    }

    private static void RemoveLeftovers(params IEnumerable<string> folders)
    {
        foreach (var folder in folders.Where(Directory.Exists))
        {
            try
            {
                AtomicFile.RemoveLeftovers(folder);
            }
            catch (Exception exception) when (FileErrors.IsFileError(exception))
            {
                throw FileErrors.ToUserException(exception, $"The folder {folder} cannot be used (--out)");
            }
        }
    }

    private static string? ReadKey(string path)
    {
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllText(path));
            return json.RootElement.GetProperty("key").GetString();
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException || FileErrors.IsFileError(exception))
        {
            return null;
        }
    }

    private int WriteShards(string folder, bool isTraining, int count)
    {
        var (shard, done) = (0, 0);
        using var handle = _progress.Start($"writing {folder}", count, "images");
        foreach (var pairs in Pairs(isTraining).Chunk(options.ShardSize))
        {
            var path = PathOf(Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{shard++:000000}.tar")));
            if (!File.Exists(path))
            {
                AtomicFile.Write(path, stream => WriteShard(stream, pairs, written => handle.Report(done + written)));
            }

            done += pairs.Length;
            handle.Report(done);
        }

        return shard;
    }

    private void WriteShard(Stream stream, Pair[] pairs, Action<int> written)
    {
        using var tar = new TarWriter(stream, TarEntryFormat.Pax, leaveOpen: true);
        var count = 0;
        foreach (var some in pairs.Chunk(ImagesAtOnce))
        {
            // Files of a network disk come faster side by side.
            var contents = new byte[some.Length][];
            Parallel.For(0, some.Length, new ParallelOptions { CancellationToken = cancellation }, index => contents[index] = ReadImage(some[index].Path));
            foreach (var (pair, content) in some.Zip(contents))
            {
                Add(tar, $"{pair.Key}.{FieldOf(pair.Path)}", content);
                Add(tar, $"{pair.Key}.txt", _utf8.GetBytes(pair.Caption));
            }

            written(count += some.Length);
        }
    }

    private static byte[] ReadImage(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The image {path} cannot be read");
        }
    }

    // A fixed time keeps the shards the same bytes whenever they are made. Names that ustar cannot hold cost a further header.
    private static void Add(TarWriter tar, string name, byte[] content)
    {
        TarEntry entry = name.Length <= LongestPlainName && Ascii.IsValid(name)
            ? new UstarTarEntry(TarEntryType.RegularFile, name)
            : new PaxTarEntry(TarEntryType.RegularFile, name);
        entry.DataStream = new MemoryStream(content);
        entry.ModificationTime = DateTimeOffset.UnixEpoch;
        tar.WriteEntry(entry);
    }

    private IEnumerable<Pair> Pairs(bool isTraining)
    {
        foreach (var (index, entry) in Entries(null))
        {
            if (index >= _found.Count)
            {
                throw new UserException($"{options.Captions} became longer while it was read: start again when it is whole.");
            }

            if (!isTraining && index >= options.ValidationEntries)
            {
                yield break;
            }

            if (_found[index] != NotTaken && index >= options.ValidationEntries == isTraining)
            {
                var name = $"{options.Captions}: [{index}]";
                yield return new(KeyOf(entry.Image, name), Candidates(entry.Image)[_found[index]], CaptionOf(entry, name));
            }
        }
    }

    private IEnumerable<(int Index, Entry Value)> Entries(string? title)
    {
        const int megabyte = 20;
        using var handle = title is null ? null : _progress.Start(title, new FileInfo(options.Captions) is { Exists: true } file ? file.Length >> megabyte : 0, "MB of captions");
        var index = 0;
        foreach (var entry in AnnotationFile.ReadArray<Entry>(options.Captions, position => handle?.Report(position >> megabyte)))
        {
            cancellation.ThrowIfCancellationRequested();
            yield return (index++, entry);
        }
    }

    private byte? Find(string image)
    {
        var candidates = Candidates(image);
        var place = candidates.FindIndex(path => new FileInfo(path) is { Exists: true, Length: > 0 });
        return place < 0 ? null : (byte)place;
    }

    // Downloads by ShareGPT4V's own instructions have the folder `images`, others do not.
    private List<string> Candidates(string image)
    {
        var parts = image.Split('/');
        return
        [
            .. from root in options.Images
               let below = root.Source is null ? image : parts[0] == root.Source ? string.Join('/', parts[1..]) : null
               where below is not null
               from path in new[] { below, string.Join('/', below.Split('/').Where(part => part != "images")) }.Distinct()
               select Path.GetFullPath(Path.Combine(root.Folder, path)),
        ];
    }

    /// <summary>What a pair is called in a shard: the image's path without the folder <c>images</c>, so that sources with equal file names do not meet.</summary>
    private static string KeyOf(string image, string entry)
    {
        var parts = image.Split('/');
        if (Path.IsPathRooted(image) || image.Contains('\\', StringComparison.Ordinal) || parts.Any(part => part is "" or "." or ".."))
        {
            throw new UserException($"{entry} names the image '{image}', which is no path below a folder of images: mend the list, or download it again.");
        }

        // A key ends at the first dot of the file name.
        return string.Join('/', parts[..^1].Where(part => part != "images").Append(Path.GetFileNameWithoutExtension(parts[^1]).Replace('.', '_')));
    }

    private static string FieldOf(string image) => Path.GetExtension(image).TrimStart('.').ToLowerInvariant();

    private static string CaptionOf(Entry entry, string name)
    {
        var caption = entry.Conversations.FirstOrDefault(turn => turn is { From: "gpt" })
            ?? throw new UserException($"{name} has no turn from \"gpt\", which is the caption: mend it, or download the file again.");
        return caption.Value.ReplaceLineEndings(" ").Replace('\t', ' ').Trim();
    }

    private static string FirstSentence(string caption) => caption.Split('.', 2)[0].Trim() + ".";

    private sealed record Entry(string Image, IReadOnlyList<Turn> Conversations);

    private sealed record Turn(string From, string Value);

    private sealed record Pair(string Key, string Path, string Caption);
}

/// <summary>What <see cref="ShareGpt4VConversion"/> reads and writes.</summary>
/// <param name="Captions">ShareGPT4V's list, a JSON array of <c>{id, image, conversations}</c>.</param>
/// <param name="Images">Folders of the images, which are tried in order.</param>
/// <param name="Output">Folder of the set: <c>train.tsv</c>, <c>val.tsv</c>, <c>train/000000.tar</c>, ..., <c>val/000000.tar</c>, <c>missing.tsv</c>.</param>
public sealed record ShareGpt4VOptions(string Captions, IReadOnlyList<ShareGpt4VImages> Images, string Output)
{
    /// <summary>How many entries at the list's beginning are validation. What is missing among them is not replaced, so the split is the same for everybody.</summary>
    public int ValidationEntries { get; init; } = 1_000;

    /// <summary>Pairs in a shard.</summary>
    public int ShardSize { get; init; } = 10_000;

    /// <summary>Replace shards of another conversion.</summary>
    public bool Force { get; init; }
}

/// <summary>Where images lie.</summary>
/// <param name="Folder">The folder that the list's paths begin in, with or without their folder <c>images</c>.</param>
/// <param name="Source">The first folder of the paths (<c>sam</c>, <c>coco</c>, <c>llava</c>) in whose place this one stands; null: it holds all sources.</param>
public sealed record ShareGpt4VImages(string Folder, string? Source = null)
{
    /// <summary>Reads <c>FOLDER</c> or <c>SOURCE=FOLDER</c>.</summary>
    /// <exception cref="UserException">There is no such folder.</exception>
    public static ShareGpt4VImages Parse(string text)
    {
        var images = text.Split('=', 2) is [{ Length: > 0 } source, var folder] && !Directory.Exists(text) ? new ShareGpt4VImages(folder, source) : new(text);
        return Directory.Exists(images.Folder) ? images
            : throw new UserException($"The folder of images {images.Folder} does not exist: correct it (--images FOLDER, or --images sam=FOLDER).");
    }
}

/// <summary>What a conversion has made.</summary>
/// <param name="Training">Training images.</param>
/// <param name="Validation">Validation images.</param>
/// <param name="Shards">Shards of both.</param>
/// <param name="Missing">Images that are not there.</param>
/// <param name="Inventory">All that was found and left out.</param>
public sealed record ShareGpt4VResult(int Training, int Validation, int Shards, int Missing, DataInventory Inventory);
