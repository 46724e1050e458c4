using System.Text;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// Image-text pairs in tar shards, as the webdataset library writes them (<see cref="TarShards"/>): samples with an image and a member
/// <c>.txt</c>. Samples without one of them are left out, and counted in <see cref="Inventory"/>. A pair takes 60 bytes of memory
/// and those of its name.
/// </summary>
public sealed class WebDatasetSource : IPairSource
{
    private const int LongestText = 1 << 20;

    // Names such as 000.0001.jpg have a field of their own each.
    private const int MostExtensions = 20;
    private static readonly UTF8Encoding _strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly DecodingOptions _decoding;
    private readonly TarShards _shards;
    private readonly PathList _names = new();
    private readonly List<TarPart> _images = [];
    private readonly List<TarPart> _texts = [];
    private readonly List<TarPart> _notes = [];

    /// <summary>Lists shards.</summary>
    /// <param name="shards">The shards' paths, in order.</param>
    /// <param name="decoding">Which image files are taken; null: the defaults.</param>
    /// <param name="progress">Told of the shards that are listed; null: nobody is.</param>
    /// <param name="cancellation">Stops the listing.</param>
    /// <exception cref="UserException">A shard is missing, is no tar file, damaged or cut off, or none of them holds a pair.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public WebDatasetSource(
        IReadOnlyList<string> shards, DecodingOptions? decoding = null, IWorkProgress? progress = null, CancellationToken cancellation = default)
    {
        _decoding = decoding ?? DecodingOptions.Default;
        _shards = new(cancellation);
        var findings = new Findings(_shards);
        try
        {
            using (var listing = (progress ?? SilentProgress.Instance).Start("listing shards", shards.Count, "shards"))
            {
                foreach (var (done, path) in shards.Index())
                {
                    var shard = new ShardFindings(Path.GetFileName(path));
                    _shards.List(path, sample => Add(sample, shard, findings));
                    findings.Add(shard);
                    listing.Report(done + 1);
                }
            }

            if (Count == 0)
            {
                throw findings.NoPair(TarShards.Describe(shards));
            }

            _names.Trim();
            _images.TrimExcess();
            _texts.TrimExcess();
            _notes.TrimExcess();
            Inventory = new(
                TarShards.Describe(shards), $"{Count} image-text pairs", _shards.LeftOut.Reasons, [.. _shards.Warnings, .. CaptionCheck.Warnings(this)]);
        }
        catch
        {
            Dispose();
            throw;
        }

        Fingerprint = _shards.Fingerprint + _decoding.Key;
    }

    /// <inheritdoc />
    public int Count => _images.Count;

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <inheritdoc />
    public DataInventory Inventory { get; }

    /// <inheritdoc />
    public string Name(int index) => _names[index];

    /// <inheritdoc />
    public DecodedImage Load(int index) => _shards.Decode(_images[index], Name(index), _decoding);

    /// <inheritdoc />
    public string Caption(int index)
    {
        try
        {
            return _strictUtf8.GetString(_shards.Read(_texts[index], Name(index)));
        }
        catch (DecoderFallbackException exception)
        {
            throw new UserException($"The text of {Name(index)} is not UTF-8: convert it or remove the pair.", exception);
        }
    }

    /// <inheritdoc />
    public string Origin(int index)
    {
        if (_notes[index].Length is 0 or > LongestText)
        {
            return Name(index);
        }

        var source = $"{Name(index)}, .json";
        return new JsonFields(JsonFields.Parse(_shards.Read(_notes[index], source), source), source).Text("url") ?? Name(index);
    }

    /// <inheritdoc />
    public void Dispose() => _shards.Dispose();

    private void Add(ShardSample sample, ShardFindings shard, Findings findings)
    {
        var image = sample.ImageField;
        var hasText = sample.Fields.TryGetValue("txt", out var text);
        if (findings.Extensions.Count < MostExtensions)
        {
            findings.Extensions.UnionWith(sample.Fields.Keys.Where(field => field != image && field != "txt"));
        }

        switch (image, hasText)
        {
            case ({ } found, true) when text.Length <= LongestText:
                _names.Add(sample.Shard, $"{sample.Key}.{found}");
                _images.Add(sample.Fields[found]);
                _texts.Add(text);
                _notes.Add(sample.Fields.GetValueOrDefault("json"));
                break;
            case (not null, true):
                throw new UserException($"{sample.Shard}: the text of the sample {sample.Key} is longer than a caption can be; take it out of the shard.");
            case ({ } alone, false):
                shard.Images.Add((sample.Key, alone));
                break;
            case (null, true):
                shard.Texts.Add(sample.Key);
                break;
            case (null, false):
                _shards.LeftOut.Add("samples with neither an image nor a .txt", sample.ShortName(sample.Fields.Keys.First()));
                break;
        }
    }

    /// <summary>The halves of pairs that were found in a shard.</summary>
    private sealed record ShardFindings(string File)
    {
        public List<(string Key, string Field)> Images { get; } = [];

        public List<string> Texts { get; } = [];
    }

    /// <summary>What all shards held besides pairs.</summary>
    private sealed class Findings(TarShards shards)
    {
        private int _images;
        private int _texts;
        private int _apart;

        /// <summary>Fields of what is neither an image that is read nor a text.</summary>
        public SortedSet<string> Extensions { get; } = new(StringComparer.Ordinal);

        public void Add(ShardFindings shard)
        {
            _images += shard.Images.Count;
            _texts += shard.Texts.Count;
            var (images, texts) = (shard.Images.Select(image => image.Key).ToHashSet(), shard.Texts.ToHashSet());
            foreach (var (key, field) in shard.Images)
            {
                _apart += texts.Contains(key) ? 1 : 0;
                shards.LeftOut.Add(texts.Contains(key) ? "pairs whose image and text are not side by side" : "images without a .txt", $"{shard.File}/{key}.{field}");
            }

            foreach (var key in shard.Texts.Where(key => !images.Contains(key)))
            {
                shards.LeftOut.Add("texts without an image", $"{shard.File}/{key}.txt");
            }
        }

        /// <summary>Why there is no pair.</summary>
        public UserException NoPair(string source)
        {
            var others = Extensions.Count == 0 ? "" : $" (there are {TarShards.InWords(Extensions)})";
            var images = TarShards.ImageFieldsInWords;
            var why = (_images, _texts) switch
            {
                _ when shards.Members == 0 => $"it is empty{(shards.Warnings.Count > 0 ? $" ({shards.Warnings[0].TrimEnd('.')})" : "")}; fetch it again",
                _ when _apart > 0 =>
                    $"{_images} images and {_texts} texts, {_apart} of them with the same key, are never side by side; pack them sorted by name (tar --sort=name)",
                ( > 0, 0) => $"{_images} images have no captions, which are read from members .txt{others}; add them",
                (0, > 0) => $"{_texts} captions have no images, which are read from members {images}{others}; convert or add them",
                ( > 0, > 0) =>
                    $"{_images} images and {_texts} texts have different keys; the names of a pair differ only behind the first dot, like 000.jpg and 000.txt",
                _ when Extensions.Count > 0 =>
                    $"behind the first dot of a name there is {TarShards.InWords(Extensions)}; a pair has one of {images} and .txt there",
                _ => $"all of its {shards.Members} members are left out: {string.Join("; ", shards.LeftOut.Reasons)}",
            };
            return new($"There is no image-text pair in {source}: {why}.");
        }
    }
}
