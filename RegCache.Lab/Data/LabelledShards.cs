using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// Images with class numbers in tar shards (<see cref="TarShards"/>), as webdataset, img2dataset and CLIP_benchmark write them: a sample has
/// an image and a member <c>.cls</c> (or <c>.cls.txt</c>, <c>.label</c>) with its number. Class names come from a file beside the shards or
/// one folder above (<see cref="ClassNameFile"/>), prompt templates from CLIP_benchmark's <c>zeroshot_classification_templates.txt</c>.
/// An image takes 20 bytes of memory, its label, and those of its name.
/// </summary>
public sealed class LabelledShards : ImageSet
{
    private const int MostClasses = 1_000_000;
    private const int LongestLabel = 64;
    private const string TemplateFile = "zeroshot_classification_templates.txt";

    private static readonly string[] _labelFields = ["cls", "cls.txt", "label"];
    private static readonly string _labelFieldsInWords = TarShards.InWords(_labelFields);

    private readonly TarShards _shards;
    private readonly PathList _names = new();
    private readonly List<TarPart> _images = [];
    private readonly List<int> _labels = [];
    private readonly ClassNameFile? _classes;
    private readonly bool _needsLabels;
    private readonly SortedSet<string> _otherFields = new(StringComparer.Ordinal);
    private int _withoutLabel;

    private LabelledShards(ShardPlaces places, ImageSetRequest request)
    {
        _shards = new(request.Cancellation);
        _needsLabels = request.NeedsLabels;
        var source = request.Variable is { } variable ? $"{variable.Name} {places.Source}" : places.Source;
        try
        {
            _classes = ClassNameFile.Find(places.Folders);
            using (var listing = request.Progress.Start("listing shards", places.Shards.Count, "shards"))
            {
                foreach (var (done, path) in places.Shards.Index())
                {
                    _shards.List(path, Add);
                    listing.Report(done + 1);
                }
            }

            if (Count == 0)
            {
                throw Nothing(source);
            }

            _names.Trim();
            _images.TrimExcess();
            places.Surplus.ForEach(shard => _shards.LeftOut.Add("shards that nshards.txt does not count", Path.GetFileName(shard)));
            // A set whose labels nobody asked for may lack some; then it has none.
            var labelled = _labels.Count == Count;
            _labels.TrimExcess();
            Labels = labelled ? _labels : [];
            ClassNames = !labelled ? [] : _classes?.Names ?? ClassNaming.Numbers(_labels.Max() + 1);
            ClassesCalledAfter = !labelled ? null
                : _classes is null ? "their numbers"
                : ClassNaming.Of(ClassNames) is "names" ? null
                : $"the lines of {_classes.Path}";
            Templates = ReadTemplates(places.Folders);
            Inventory = new(source, labelled ? $"{Count} images in {ClassesInWords}" : $"{Count} images", _shards.LeftOut.Reasons, [.. Warnings(places)]);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The entry in the list of formats.</summary>
    public static ImageSetFormat Entry { get; } = new(
        "shards",
        $"tar shards of images with class numbers ({_labelFieldsInWords}), or a folder of them as CLIP_benchmark writes it, whose splits are its folders",
        ShardPlaces.Recognises,
        request => new LabelledShards(ShardPlaces.Find(request), request));

    /// <inheritdoc />
    public override int Count => _images.Count;

    /// <inheritdoc />
    public override DataInventory Inventory { get; }

    /// <inheritdoc />
    public override string Name(int index) => _names[index];

    /// <inheritdoc />
    public override DecodedImage Load(int index) => _shards.Decode(_images[index], Name(index), Decoding);

    /// <inheritdoc />
    /// <remarks>SHA-256 over the shards' names and lengths, and the place and the label of every image; the images themselves are not read.</remarks>
    public override string ComputeFingerprint(bool skipUnreadable = false, CancellationToken cancellation = default)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.ASCII.GetBytes(_shards.Fingerprint));
        hash.AppendData(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(_images)));
        hash.AppendData(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(_labels)));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        _shards.Dispose();
        base.Dispose(disposing);
    }

    private void Add(ShardSample sample)
    {
        var labelField = _labelFields.FirstOrDefault(sample.Fields.ContainsKey);
        if (_otherFields.Count < 20)
        {
            _otherFields.UnionWith(sample.Fields.Keys.Where(field => field != labelField && field != sample.ImageField));
        }

        switch (sample.ImageField, labelField)
        {
            case ({ } image, { } field):
                Add(sample, image, Label(sample, field));
                break;
            case ({ } image, null):
                _withoutLabel++;
                if (_needsLabels)
                {
                    _shards.LeftOut.Add($"images without a label ({_labelFieldsInWords})", sample.ShortName(image));
                }
                else
                {
                    Add(sample, image, null);
                }

                break;
            case (null, { } field):
                _shards.LeftOut.Add("labels without an image", sample.ShortName(field));
                break;
            case (null, null):
                _shards.LeftOut.Add("samples with neither an image nor a label", sample.ShortName(sample.Fields.Keys.First()));
                break;
        }
    }

    private void Add(ShardSample sample, string image, int? label)
    {
        _names.Add(sample.Shard, $"{sample.Key}.{image}");
        _images.Add(sample.Fields[image]);
        if (label is { } number)
        {
            _labels.Add(number);
        }
    }

    private int Label(ShardSample sample, string field)
    {
        var (part, name) = (sample.Fields[field], $"{sample.Shard}/{sample.Key}.{field}");
        var text = part.Length > LongestLabel ? null : Encoding.Latin1.GetString(_shards.Read(part, name)).Trim();
        if (text is null || !int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var label))
        {
            throw new UserException($"{name} holds {(text is null ? $"{part.Length} bytes" : $"'{text}'")} where a class number belongs: write the number of the class, counted from 0.");
        }

        var most = _classes?.Names.Count ?? MostClasses;
        return label >= 0 && label < most
            ? label
            : throw new UserException($"{name} has the label {label}, but classes are numbered from 0 to {most - 1}{(_classes is null ? "" : $" ({_classes.Path})")}: correct the label or the list of classes.");
    }

    private static IReadOnlyList<string> ReadTemplates(IEnumerable<string> folders)
    {
        if (folders.Select(folder => Path.Join(folder, TemplateFile)).FirstOrDefault(File.Exists) is not { } path)
        {
            return [];
        }

        var templates = ClassNameFile.Lines(path);
        return templates.FirstOrDefault(template => !template.Contains("{c}", StringComparison.Ordinal)) is { } wrong
            ? throw new UserException($"{path}: '{wrong}' has no {{c}} for the class name: correct the line.")
            : [.. templates.Select(template => template.Replace("{c}", Encoders.Text.PromptSet.Placeholder, StringComparison.Ordinal))];
    }

    private IEnumerable<string> Warnings(ShardPlaces places)
    {
        foreach (var warning in _shards.Warnings)
        {
            yield return warning;
        }

        if (Labels.Count > 0 && _classes is null)
        {
            yield return $"There is no list of classes ({ClassNameFile.KnownNames}) in {string.Join(" or ", places.Folders)}: the classes are taken to be 0 to {ClassNames.Count - 1}, the largest label that occurs.";
        }

        if (_needsLabels && _withoutLabel > 0)
        {
            yield return $"{_withoutLabel} images have no label and are left out: results are of the other {Count}.";
        }
    }

    private UserException Nothing(string source)
    {
        var others = _otherFields.Count == 0 ? "" : $" (there are {TarShards.InWords(_otherFields)})";
        var why = _shards.Members == 0 ? $"it is empty{(_shards.Warnings.Count > 0 ? $" ({_shards.Warnings[0].TrimEnd('.')})" : "")}; fetch it again"
            : _withoutLabel > 0 ? $"{_withoutLabel} images have no label, which is read from members {_labelFieldsInWords}{others}; add them"
            : $"an image is read from members {TarShards.ImageFieldsInWords}{others}; what it holds is left out ({string.Join("; ", _shards.LeftOut.Reasons)})";
        return new($"There is no {(_needsLabels ? "labelled " : "")}image in {source}: {why}.");
    }
}
