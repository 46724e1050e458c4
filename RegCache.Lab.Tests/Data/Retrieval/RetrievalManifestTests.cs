using RegCache.Lab.Data.Manifests;
using RegCache.Lab.Data.Retrieval;

namespace RegCache.Lab.Tests.Data.Retrieval;

public sealed class RetrievalManifestTests
{
    [Fact]
    public void EverySetForRetrievalHasAManifestThatKnowsItsVariableAndSplit()
    {
        foreach (var format in RetrievalFormats.All.Where(format => format.Variable is not null))
        {
            var (manifest, split) = DatasetManifests.OfTheKit
                .SelectMany(manifest => manifest.Splits.Select(split => (manifest, split)))
                .First(pair => pair.split.Reader.Split('@')[0] == format.Name);
            Assert.Equal(format.Variable!.Name, manifest.Variable);
            Assert.Equal(format.FindSplit(split.Reader.Split('@') is [_, var name] ? name : null), split.Reader.Contains('@') ? split.Reader.Split('@')[1] : format.Splits[0]);
            Assert.Equal(format.Name, DatasetReaders.Find(split).Name);
        }
    }

    [Fact]
    public void AReaderCountsImagesAndCaptions()
    {
        using var folder = new TemporaryFolder();
        RetrievalLayouts.All["coco"](folder.Root, 6);
        File.Delete(folder["images", "val2017", "000000000139.jpg"]);
        var manifest = DatasetManifests.OfTheKit.Find("coco");
        var split = manifest.Splits.First(split => split.Reader == "coco@val2017");
        using var content = DatasetReaders.Find(split).Open(new(manifest, split, folder.Root, folder.Root), CancellationToken.None);
        Assert.Equal((6, 12), (content.Counts["images"], content.Counts["captions"]));
        Assert.Equal(1, Enumerable.Range(0, 6).Count(image => !File.Exists(content.Images!.Name(image))));
    }
}
