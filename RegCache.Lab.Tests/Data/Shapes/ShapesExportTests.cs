using System.Text.Json;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Tests.Data.Shapes;

public sealed class ShapesExportTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("shapes-").FullName;

    [Fact]
    public void ClassFoldersHoldThePixels()
    {
        var set = ShapesSet.Generate(ShapesSplit.Test, 50);
        Assert.Equal(50, ShapesExport.Write(set, _folder, ShapesFormat.Folders, SilentProgress.Instance));
        Assert.Equal(48, Directory.GetDirectories(Path.Combine(_folder, "test")).Length);
        var file = Path.Combine(_folder, "test", "01_red_square", "000049.png");
        using var image = ImageDecoder.Load(file);
        Assert.True(image.Pixels.SequenceEqual(set.Image(49)));
    }

    [Fact]
    public void CaptionFilesNameTheImages()
    {
        var set = ShapesSet.Generate(ShapesSplit.Retrieval, 20);
        ShapesExport.Write(set, _folder, ShapesFormat.Coco, SilentProgress.Instance);
        using var coco = JsonDocument.Parse(File.ReadAllText(Path.Combine(_folder, "annotations", "captions_retrieval.json")));
        using var splits = JsonDocument.Parse(File.ReadAllText(Path.Combine(_folder, "dataset_shapes_retrieval.json")));
        for (var index = 0; index < set.Count; index++)
        {
            var image = coco.RootElement.GetProperty("images")[index];
            Assert.True(File.Exists(Path.Combine(_folder, "retrieval", image.GetProperty("file_name").GetString()!)));
            Assert.Equal(set.Samples[index].Caption, coco.RootElement.GetProperty("annotations")[index].GetProperty("caption").GetString());
            var entry = splits.RootElement.GetProperty("images")[index];
            Assert.Equal("test", entry.GetProperty("split").GetString());
            Assert.Equal(set.Samples[index].Caption, entry.GetProperty("sentences")[0].GetProperty("raw").GetString());
        }
    }

    [Fact]
    public void ShardsReadBackAsPairs()
    {
        var set = ShapesSet.Generate(ShapesSplit.Train, 1_010);
        ShapesExport.Write(set, _folder, ShapesFormat.WebDataset, SilentProgress.Instance);
        using var pairs = new WebDatasetSource(ShardNames.Expand(Path.Combine(_folder, "train-{000000..000001}.tar")));
        Assert.Equal(set.Count, pairs.Count);
        foreach (var index in new[] { 0, 500, 999, 1_000, 1_009 })
        {
            using var image = pairs.Load(index);
            Assert.True(image.Pixels.SequenceEqual(set.Image(index)));
            Assert.Equal(set.Samples[index].Caption, pairs.Caption(index));
        }
    }

    [Fact]
    public void CifarFilesReadBackAsCifar()
    {
        var set = ShapesSet.Generate(ShapesSplit.Train, 60);
        int[] single = [.. Enumerable.Range(0, 60).Where(index => set.Samples[index].Label >= 0)];
        Assert.Equal(single.Length, ShapesExport.Write(set, _folder, ShapesFormat.Cifar, SilentProgress.Instance));
        Assert.Equal(48, ShapesExport.Write(ShapesSet.Generate(ShapesSplit.Test, 48), _folder, ShapesFormat.Cifar, SilentProgress.Instance));
        using var train = Open("train");
        using var test = Open("test");
        Assert.Equal(single.Select(index => set.Samples[index].Label), train.Labels);
        Assert.Equal(Enumerable.Range(0, 48), test.Labels);
        Assert.Equal(ShapesVocabulary.Classes, train.ClassNames);
        using var image = train.Load(7);
        using var large = DecodedImage.FromPixels(64, 64, PixelLayout.Rgb, set.Image(single[7]));
        var expected = new byte[32 * 32 * 3];
        new ImagePreprocessor(new(32)).ToRgb(large, expected);
        Assert.True(image.Pixels.SequenceEqual(expected));

        ImageSet Open(string split) => CifarImages.Entry.Open(new() { Path = _folder, Split = split });
    }

    [Fact]
    public void CifarHasNoOtherSplits() => Assert.Contains("train and test", Assert.Throws<UserException>(() =>
        ShapesExport.Write(ShapesSet.Generate(ShapesSplit.Retrieval, 20), _folder, ShapesFormat.Cifar, SilentProgress.Instance)).Message);

    [Fact]
    public void ADamagedShardIsNamed()
    {
        var path = Path.Combine(_folder, "bad.tar");
        File.WriteAllBytes(path, [.. Enumerable.Repeat((byte)7, 2000)]);
        Assert.Contains(path, Assert.Throws<UserException>(() => new WebDatasetSource([path])).Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
