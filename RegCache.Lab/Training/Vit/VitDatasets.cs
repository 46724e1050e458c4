using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training.Vit;

/// <summary>Labelled images that a classifier is trained on, and others that measure it, with the same classes.</summary>
/// <param name="Train">The training images.</param>
/// <param name="Test">The test images.</param>
public sealed record VitData(ImageSet Train, ImageSet Test) : IDisposable
{
    /// <summary>The classes.</summary>
    public IReadOnlyList<string> ClassNames => Train.ClassNames;

    /// <inheritdoc />
    public void Dispose()
    {
        Train.Dispose();
        Test.Dispose();
    }
}

/// <summary>Data that a classifier can be trained on.</summary>
/// <param name="Name">Its name in configurations.</param>
/// <param name="Help">What it is, in one line.</param>
/// <param name="NeedsPath">Whether it lies in a folder.</param>
/// <param name="Open">Opens it as the configuration says.</param>
public sealed record VitDataset(string Name, string Help, bool NeedsPath, Func<VitTrainingConfig, ImageSetRequest, VitData> Open) : IListed
{
    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];
}

/// <summary>All of them.</summary>
public static class VitDatasets
{
    private const string CifarTen = "CIFAR-10", CifarHundred = "CIFAR-100";

    /// <summary>The list.</summary>
    public static OpenList<VitDataset> All { get; } = new(
        "data set",
        new VitDataset("cifar10", "The folder of CIFAR-10, or of other images in its form.", NeedsPath: true, (config, request) => OpenCifar(CifarTen, config, request)),
        new VitDataset("cifar100", "The folder of CIFAR-100, fine classes.", NeedsPath: true, (config, request) => OpenCifar(CifarHundred, config, request)),
        new VitDataset("imagenet", "A folder with train/CLASS/ and val/CLASS/, as ImageNet-1k lies on disk.", NeedsPath: true, OpenFolders),
        new VitDataset("shapes", "Generated pictures of one coloured shape each, 64 x 64.", NeedsPath: false, OpenShapes));

    private static VitData OpenCifar(string title, VitTrainingConfig config, ImageSetRequest request)
    {
        var path = config.DataPath!;
        if (CifarLayout.In(path).FirstOrDefault() is { Layout: { } found } && found.Title != title)
        {
            throw new UserException($"`data_path` {path} holds {found.Title}, not {title}: choose `dataset` {found.Title.Replace("-", "", StringComparison.Ordinal).ToLowerInvariant()}.");
        }

        var labelled = request with { NeedsLabels = true };
        return Pair(split => ImageSetFormats.Open($"cifar@{split}:{path}", labelled), "train", "test");
    }

    // A validation set may lack classes, but may have none of its own.
    private static VitData OpenFolders(VitTrainingConfig config, ImageSetRequest request)
    {
        var labelled = request with { NeedsLabels = true };
        var (train, test) = Pair(part => ImageSetFormats.Open($"folders:{Path.Combine(config.DataPath!, part)}", labelled), "train", "val");
        var labels = train.ClassNames.Index().ToDictionary(entry => entry.Item, entry => entry.Index, StringComparer.Ordinal);
        if (test.ClassNames.FirstOrDefault(name => !labels.ContainsKey(name)) is { } unknown)
        {
            using (train)
            {
                using (test)
                {
                    throw new UserException($"{test.Inventory.Source} has the class folder {unknown}, which {train.Inventory.Source} lacks: its images have no class; move it away.");
                }
            }
        }

        return new(train, new ChosenImages(
            test, [.. Enumerable.Range(0, test.Count)], [.. test.Labels.Select(label => labels[test.ClassNames[label]])], train.ClassNames));
    }

    private static VitData OpenShapes(VitTrainingConfig config, ImageSetRequest request)
    {
        ChosenImages Make(ShapesSplit split, int count)
        {
            var set = ShapesSet.Generate(split, count, cancellation: request.Cancellation);
            int[] single = [.. Enumerable.Range(0, set.Count).Where(index => set.Samples[index].Label >= 0)];
            return new(new ShapesImages(set), single, [.. single.Select(index => set.Samples[index].Label)], ShapesVocabulary.Classes);
        }

        return new(Make(ShapesSplit.Train, config.TrainNumSamples), Make(ShapesSplit.Test, config.ValNumSamples));
    }

    private static VitData Pair(Func<string, ImageSet> open, string train, string test)
    {
        var first = open(train);
        try
        {
            return new(first, open(test));
        }
        catch
        {
            first.Dispose();
            throw;
        }
    }
}

/// <summary>Some images of a set, under other labels.</summary>
internal sealed class ChosenImages : ImageSet
{
    private readonly ImageSet _all;
    private readonly int[] _chosen;

    /// <summary>Chooses images.</summary>
    /// <param name="all">The set, which is disposed with this one.</param>
    /// <param name="chosen">The images.</param>
    /// <param name="labels">Their labels.</param>
    /// <param name="classNames">The classes.</param>
    public ChosenImages(ImageSet all, int[] chosen, int[] labels, IReadOnlyList<string> classNames)
    {
        (_all, _chosen) = (all, chosen);
        (Labels, ClassNames) = (labels, classNames);
    }

    /// <inheritdoc />
    public override int Count => _chosen.Length;

    /// <inheritdoc />
    public override DataInventory Inventory => _all.Inventory with { Found = $"{Count} images in {ClassesInWords}" };

    /// <inheritdoc />
    public override string Name(int index) => _all.Name(_chosen[index]);

    /// <inheritdoc />
    public override string SortKey(int index) => _all.SortKey(_chosen[index]);

    /// <inheritdoc />
    public override DecodedImage Load(int index) => _all.Load(_chosen[index]);

    /// <inheritdoc />
    public override string ComputeFingerprint(bool skipUnreadable = false, CancellationToken cancellation = default) =>
        ContentHash.OfValue(new { all = _all.ComputeFingerprint(skipUnreadable, cancellation), _chosen, Labels });

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        _all.Dispose();
        base.Dispose(disposing);
    }
}
