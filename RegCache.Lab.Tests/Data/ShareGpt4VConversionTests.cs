using System.Text.Json;
using RegCache.Lab.Data;

namespace RegCache.Lab.Tests.Data;

/// <summary>Tables and shards from a small list in ShareGPT4V's form, with images of three sources.</summary>
public sealed class ShareGpt4VConversionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly List<object> _entries = [];

    public ShareGpt4VConversionTests()
    {
        // Two sources have a file of the same name.
        for (var index = 0; index < 9; index++)
        {
            var image = (index % 3) switch
            {
                0 => $"sam/images/sa_{index}.jpg",
                1 => $"coco/train2017/{index:000000000000}.jpg",
                _ => $"llava/llava_pretrain/images/00{index}/{index - 1:000000000000}.jpg",
            };
            AddImage(image, [(byte)index, 1, 2, 3]);
            AddEntry(image, $"Picture {index} has \"many\" things.\nA second sentence, v1.5 of it. ");
        }
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void EveryImageIsAPairInAShardAndTwoRowsOfATable()
    {
        var result = Convert();
        Assert.Equal((7, 2, 4 + 1, 0), (result.Training, result.Validation, result.Shards, result.Missing));
        using var shards = new WebDatasetSource([.. Enumerable.Range(0, 4).Select(shard => _folder["out", "train", $"00000{shard}.tar"])]);
        Assert.Equal(7, shards.Count);
        Assert.Empty(shards.Inventory.LeftOut);
        Assert.EndsWith("000000.tar/llava/llava_pretrain/002/000000000001.jpg", shards.Name(0), StringComparison.Ordinal);
        Assert.Equal("Picture 2 has \"many\" things. A second sentence, v1.5 of it.", shards.Caption(0));
        Assert.Equal([2, 1, 2, 3], Member("train", 0, "llava/llava_pretrain/002/000000000001.jpg"));

        using var table = new CsvPairSource(_folder["out", "train.tsv"], new());
        Assert.Equal(14, table.Count);
        Assert.Equal("Picture 2 has \"many\" things. A second sentence, v1.5 of it.", table.Caption(0));
        Assert.Equal("Picture 2 has \"many\" things.", table.Caption(1));
        using var validation = new WebDatasetSource([_folder["out", "val", "000000.tar"]]);
        Assert.Equal(["Picture 0 has \"many\" things. A second sentence, v1.5 of it.", "Picture 1 has \"many\" things. A second sentence, v1.5 of it."], Enumerable.Range(0, 2).Select(validation.Caption));
        Assert.Single(File.ReadLines(_folder["out", "missing.tsv"]));
    }

    [Fact]
    public void WhatIsMissingIsListedAndCountedAndMovesNothingBetweenTheSplits()
    {
        File.Delete(_folder["images", "coco", "train2017", "000000000001.jpg"]);
        File.WriteAllBytes(_folder["images", "sam", "images", "sa_6.jpg"], []);
        AddEntry("sam/images/sa_3.jpg", "The same picture again.");
        AddEntry("sam/images/sa_99.gif", "Another kind of file.");
        AddImage("sam/images/sa_98.jpg", [1]);
        AddEntry("sam/images/sa_98.jpg", " \n ");
        var result = Convert();
        Assert.Equal((6, 1, 2), (result.Training, result.Validation, result.Missing));
        Assert.Equal(["entry\timage", "1\tcoco/train2017/000000000001.jpg", "6\tsam/images/sa_6.jpg"], File.ReadLines(_folder["out", "missing.tsv"]));
        Assert.Equal(
            ["images that are missing or empty: 2", "entries whose image has the name of an earlier one: 1", "images that are not .jpg, .png, .jpeg, .webp: 1", "empty captions: 1"],
            result.Inventory.LeftOut.Select(reason => $"{reason.Reason}: {reason.Count}"));
    }

    [Fact]
    public void ImagesMayLieInSeveralFoldersWithAndWithoutTheirFolderImages()
    {
        Directory.Move(_folder["images", "sam", "images"], _folder["sam"]);
        var root = _folder["images"];
        var result = Convert(new ShareGpt4VImages(root), new ShareGpt4VImages(_folder["sam"], "sam"));
        Assert.Equal((7, 2, 0), (result.Training, result.Validation, result.Missing));
    }

    [Fact]
    public void ARunThatWasStoppedGoesOnWithTheSameBytes()
    {
        Convert();
        var whole = Hashes();
        File.Delete(_folder["out", "train", "000001.tar"]);
        File.Delete(_folder["out", "train", "000003.tar"]);
        File.WriteAllText(_folder["out", "train", ".000003.tar.77-1.tmp"], "half");
        var kept = File.GetLastWriteTimeUtc(_folder["out", "train", "000000.tar"]);
        Convert();
        Assert.Equal(whole, Hashes());
        Assert.Equal(kept, File.GetLastWriteTimeUtc(_folder["out", "train", "000000.tar"]));
        Assert.Empty(Directory.GetFiles(_folder["out", "train"], ".*"));
    }

    [Fact]
    public void ShardsOfOtherImagesAreNotMixedWithThese()
    {
        Convert();
        File.Delete(_folder["images", "sam", "images", "sa_3.jpg"]);
        var table = File.ReadAllText(_folder["out", "train.tsv"]);
        Assert.Contains("has 5 shards of another conversion", Assert.Throws<UserException>(() => Convert()).Message, StringComparison.Ordinal);
        Assert.Equal(table, File.ReadAllText(_folder["out", "train.tsv"]));
        var options = Options() with { Force = true, ShardSize = 5 };
        Assert.Equal(3, new ShareGpt4VConversion(options).Run().Shards);
        Assert.Equal(["000000.tar", "000001.tar"], Directory.GetFiles(_folder["out", "train"]).Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData("/etc/passwd.jpg")]
    [InlineData("sam/../../secret.jpg")]
    [InlineData("sam//x.jpg")]
    public void PathsThatLeaveTheFolderAreRefused(string image)
    {
        AddEntry(image, "A caption.");
        Assert.Contains($"[9] names the image '{image}', which is no path below", Assert.Throws<UserException>(() => Convert()).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder["out", "train.tsv"]));
    }

    [Fact]
    public void BadListsAreOneSentence()
    {
        Assert.Contains("None of the images that", Assert.Throws<UserException>(() => Convert(new ShareGpt4VImages(_folder.Root))).Message, StringComparison.Ordinal);
        _entries.Add(new { image = "sam/images/sa_77.png", conversations = new[] { new { from = "human", value = "What is it?" } } });
        Assert.Contains("[9] has no turn from \"gpt\"", Assert.Throws<UserException>(() => Convert()).Message, StringComparison.Ordinal);
        File.WriteAllText(_folder["broken.json"], "[{\"image\": \"a");
        Assert.Throws<UserException>(() => new ShareGpt4VConversion(Options() with { Captions = _folder["broken.json"] }).Run());
        Assert.Contains("does not exist", Assert.Throws<UserException>(() => ShareGpt4VImages.Parse("sam=/nowhere")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheCommandMakesTheSameSet()
    {
        WriteList();
        var (code, output, error) = ExternalProcess.Run(
            ExternalProcess.Regcache,
            ["data", "make", "sharegpt4v", "--captions", _folder["list.json"], "--images", _folder["images"], "--out", _folder["out"], "--val-count", "2", "--shard-size", "2"]);
        Assert.True(code == 0, error);
        Assert.Contains("7 training and 2 validation images in 5 shards", output, StringComparison.Ordinal);
        var made = Hashes();
        Directory.Delete(_folder["out"], recursive: true);
        Convert();
        Assert.Equal(made, Hashes());
    }

    private void AddImage(string image, byte[] content)
    {
        var path = Path.Combine(_folder["images"], image);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, content);
    }

    private void AddEntry(string image, string caption) => _entries.Add(new
    {
        id = $"{_entries.Count}",
        image,
        conversations = new[] { new { from = "human", value = "What do you see?\n<image>" }, new { from = "gpt", value = caption } },
    });

    private void WriteList() => File.WriteAllText(_folder["list.json"], JsonSerializer.Serialize(_entries));

    private ShareGpt4VOptions Options(params ShareGpt4VImages[] images) =>
        new(_folder["list.json"], images.Length > 0 ? images : [new ShareGpt4VImages(_folder["images"])], _folder["out"]) { ValidationEntries = 2, ShardSize = 2 };

    private ShareGpt4VResult Convert(params ShareGpt4VImages[] images)
    {
        WriteList();
        return new ShareGpt4VConversion(Options(images)).Run();
    }

    private byte[] Member(string split, int shard, string name)
    {
        using var stream = File.OpenRead(_folder["out", split, $"{shard:000000}.tar"]);
        using var tar = new System.Formats.Tar.TarReader(stream);
        while (tar.GetNextEntry() is { } entry)
        {
            if (entry.Name == name)
            {
                var content = new MemoryStream();
                entry.DataStream!.CopyTo(content);
                return content.ToArray();
            }
        }

        throw new InvalidOperationException($"There is no member {name}.");
    }

    private string[] Hashes() =>
        [.. Directory.GetFiles(_folder["out"], "*.t*", SearchOption.AllDirectories).Where(path => !Path.GetFileName(path).StartsWith('.')).Order().Select(path => $"{Path.GetFileName(path)} {RegCache.Lab.Reports.ContentHash.OfFile(path)}")];
}
