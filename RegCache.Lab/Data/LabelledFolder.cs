using System.Security.Cryptography;
using System.Text;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// Images that all lie in one folder, as ImageNet's validation images do, with a table of their labels (<see cref="LabelTable"/>) in the
/// folder, beside it, or named. Labels are numbers of classes, or ids or names of classes, which then are sorted; a list of classes
/// (<see cref="ClassNameFile"/>) in the same places decides instead where there is one. Images are ordered by class and name, as those of
/// class folders, so that both layouts of a set give the same results.
/// </summary>
public sealed class LabelledFolder : ImageSet
{
    private const string KaggleTable = "LOC_val_solution.csv";
    private const int LevelsToKaggleTable = 4;
    private const string GroundTruth = "ILSVRC2012_validation_ground_truth.txt";

    private static readonly string[] _tables = ["val.txt", "labels.csv", "labels.txt", "labels.tsv", KaggleTable];

    private readonly PathList _paths = new();
    private readonly string _root;
    private readonly string _labelHash;

    private LabelledFolder(string root, string table, ImageSetRequest request)
    {
        _root = root;
        var leftOut = new LeftOutCounter();
        var images = ImageFiles.Take(FolderListing.Read(root, $"The folder {root}"), root, root, leftOut);
        var classes = ClassNameFile.Find([Folder(table), root, Folder(root)]);
        var labels = new Labelling(table, images, root, leftOut);
        LabelTable.Read(table, labels.Add);
        var (ofImage, names) = labels.Finish(classes);

        // By class, then by name; images without a label last.
        var order = Enumerable.Range(0, images.Count).ToArray();
        Array.Sort([.. ofImage.Select((label, image) => ((long)(label < 0 ? int.MaxValue : label) << 32) | (uint)image)], order);
        var labelled = order.AsSpan(0, labels.Found);
        foreach (var image in labelled)
        {
            _paths.Add(root, images[image]);
        }

        _paths.Trim();
        Labels = [.. labelled.ToArray().Select(image => ofImage[image])];
        ClassNames = names;
        ClassesCalledAfter = classes is not null && ClassNaming.Of(names) is "names" ? null
            : ClassNaming.Of(names) is "numbers" ? "their numbers"
            : $"the labels of {table}";
        foreach (var image in order[labels.Found..])
        {
            leftOut.Add("images without a label", images[image]);
        }

        Inventory = new(
            request.Variable is { } variable ? $"{variable.Name} {root}" : root,
            $"{Count} images in {ClassesInWords}, labels from {table}{(classes is null ? "" : $", classes from {classes.Path}")}",
            leftOut.Reasons,
            [.. Warnings(labels, images.Count, classes)]);
        _labelHash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{string.Join(' ', Labels)}\n{string.Join('\n', names)}")));
    }

    /// <summary>The entry in the list of formats.</summary>
    public static ImageSetFormat Entry { get; } = new(
        "labels",
        "images in one folder and a table of their labels: labels:TABLE, labels:FOLDER, or labels:FOLDER::TABLE",
        path => File.Exists(path) && LabelTable.IsTable(path),
        Open);

    /// <inheritdoc />
    public override int Count => _paths.Count;

    /// <inheritdoc />
    public override DataInventory Inventory { get; }

    /// <summary>Opens a folder of images with a table in it or beside it.</summary>
    /// <returns>Null: the folder has class folders, or no images.</returns>
    /// <exception cref="UserException">There are images but no table, more than one table, or the table does not fit.</exception>
    public static LabelledFolder? OpenFlat(ImageSetRequest request)
    {
        if (!Directory.Exists(request.Path))
        {
            return null;
        }

        var listing = FolderListing.Read(request.Path, $"The folder {request.Path}");
        return listing.Files.Exists(ImageFiles.IsImage) && listing.Folders.TrueForAll(ImageFiles.IsOfSystem)
            ? new(request.Path, FindTable(request.Path), request)
            : null;
    }

    /// <inheritdoc />
    public override string Name(int index) => _paths[index];

    /// <inheritdoc />
    public override DecodedImage Load(int index) => ImageDecoder.Load(_paths[index], Decoding);

    /// <inheritdoc />
    /// <remarks>As <see cref="ClassFolderDataset.ComputeFingerprint"/>, and a hash of labels and class names.</remarks>
    public override string ComputeFingerprint(bool skipUnreadable = false, CancellationToken cancellation = default) =>
        $"{DatasetFingerprint.Compute(_root, _paths, skipUnreadable, cancellation)}{_labelHash}";

    private static LabelledFolder Open(ImageSetRequest request)
    {
        if (request.Split is { } split)
        {
            throw new UserException($"A folder with a table of labels has no split '{split}': name the folder of the split.");
        }

        var (folder, table) = request.Path.Split("::", 2) switch
        {
            [var images, var labels] => (images, labels),
            [var path] when Directory.Exists(path) => (path, FindTable(path)),
            [var path] => (FindImages(path), path),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
        return new(folder, table, request);
    }

    private static string? Folder(string path) => Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));

    private static string FindTable(string folder)
    {
        string?[] near = [folder, Folder(folder)];
        var above = Enumerable.Range(0, LevelsToKaggleTable).Aggregate(folder, (inner, _) => Folder(inner) ?? inner);
        string[] found =
        [
            .. near.OfType<string>().SelectMany(place => _tables.Select(table => Path.Join(place, table)))
                .Append(Path.Join(above, KaggleTable)).Where(File.Exists).Distinct(),
        ];
        if (found is [var only])
        {
            return only;
        }

        if (found is [var first, var second, ..])
        {
            throw new UserException($"Both {first} and {second} may hold the labels of {folder}: name one, like labels:{folder}::{first}.");
        }

        var truth = near.OfType<string>().Select(place => Path.Join(place, GroundTruth)).FirstOrDefault(File.Exists);
        if (truth is not null)
        {
            // Its one column is what is wrong with it, and reading it says so.
            LabelTable.Read(truth, _ => { });
        }

        throw new UserException(
            $"The folder {folder} holds images but no class folders, and there is no table of labels ({string.Join(", ", _tables)}) in it or beside it: " +
            $"put one there, name one (labels:{folder}::TABLE), or sort the images into one folder a class.");
    }

    private static string FindImages(string table)
    {
        if (!File.Exists(table))
        {
            throw new UserException($"The table of labels {table} does not exist: correct the path.");
        }

        var place = Folder(table)!;
        string[] candidates = [place, Path.Join(place, Path.GetFileNameWithoutExtension(table)), Path.Join(place, "val"), Path.Join(place, "images"), Path.Join(place, "ILSVRC", "Data", "CLS-LOC", "val")];
        string[] found =
            [.. candidates.Distinct().Where(folder => Directory.Exists(folder) && FolderListing.Read(folder, $"The folder {folder}").Files.Exists(ImageFiles.IsImage))];
        return found switch
        {
            [var only] => only,
            [] => throw new UserException($"There are no images in {string.Join(" or ", candidates.Distinct())}: name the folder that {table} labels, like labels:FOLDER::{table}."),
            _ => throw new UserException($"{table} may label the images of {string.Join(" or ", found)}: name one, like labels:{found[0]}::{table}."),
        };
    }

    private IEnumerable<string> Warnings(Labelling labels, int images, ClassNameFile? classes)
    {
        if (labels.Missing > 0)
        {
            yield return $"{labels.Missing} images that {labels.Table} labels are not in {_root} ({labels.FirstMissing}{(labels.Missing > 1 ? ", ..." : "")}): results are of the other {Count}.";
        }

        if (images > Count)
        {
            yield return $"{images - Count} images of {_root} have no label in {labels.Table} and are left out.";
        }

        if (classes is null)
        {
            yield return ClassNaming.Of(ClassNames) is "numbers"
                ? $"There is no list of classes ({ClassNameFile.KnownNames}) beside {labels.Table}: the classes are taken to be 0 to {ClassNames.Count - 1}, the largest label that occurs."
                : $"There is no list of classes ({ClassNameFile.KnownNames}) beside {labels.Table}: the classes are taken to be the {ClassNames.Count} that occur, sorted.";
            if (ClassNaming.Of(ClassNames) is "numbers" && !Labels.Contains(0))
            {
                yield return $"No image has the label 0: if {labels.Table} counts from 1, all labels are wrong by one.";
            }
        }
    }
}
