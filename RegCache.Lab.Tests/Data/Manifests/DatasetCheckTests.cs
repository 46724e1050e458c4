using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Manifests;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Data.Images;

namespace RegCache.Lab.Tests.Data.Manifests;

public sealed class DatasetCheckTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();

    public DatasetCheckTests()
    {
        foreach (var name in new[] { "a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg" })
        {
            _scratch.Write(ScratchFolder.Jpeg, "data", name);
        }
    }

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WhatIsInOrderHasNoProblem(bool deep)
    {
        var report = Check(deep: deep);
        Assert.Empty(report.Problems);
        var split = Assert.Single(report.Splits);
        Assert.Equal(
            [("classes", 2L), ("images", 4L), ("smallest_class", 2L), ("largest_class", 2L), (deep ? "decoded images" : "image files by their first bytes", 4L)],
            split.Counts.Select(count => (count.What, count.Found)));
    }

    [Fact]
    public void MissingAndSurplusImagesAreCounted()
    {
        File.Delete(_scratch.Path("data", "a", "1.jpg"));
        Assert.Equal([$"{_scratch.Path("data")} has 3 images instead of 4."], Sentences(Check()));
        _scratch.Write(ScratchFolder.Jpeg, "data", "c", "1.jpg");
        _scratch.Write(ScratchFolder.Jpeg, "data", "c", "2.jpg");
        Assert.Equal(
            [$"{_scratch.Path("data")} has 3 classes instead of 2.", $"{_scratch.Path("data")} has 5 images instead of 4."], Sentences(Check()));
    }

    [Fact]
    public void AnEmptyClassIsTold()
    {
        File.Move(_scratch.Path("data", "b", "1.jpg"), _scratch.Path("data", "a", "3.jpg"));
        File.Move(_scratch.Path("data", "b", "2.jpg"), _scratch.Path("data", "a", "4.jpg"));
        Assert.Contains("without images: b", Assert.Single(Sentences(Check())), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "is empty")]
    [InlineData("<!DOCTYPE html><html>", "an HTML page")]
    [InlineData("version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer")]
    public void AGlanceFindsWhatIsNoImage(string content, string expected)
    {
        var path = _scratch.Write(Encoding.UTF8.GetBytes(content), "data", "b", "2.jpg");
        var sentence = Assert.Single(Sentences(Check()));
        Assert.Contains(path, sentence, StringComparison.Ordinal);
        Assert.Contains(expected, sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void EveryFormatThatIsDecodedIsAnImageAtAGlance()
    {
        foreach (var file in PillowCases.Files)
        {
            Assert.True(ImageDecoder.Recognises(File.ReadAllBytes(Path.Combine(PillowCases.Folder, file)).AsSpan(0, 32)), file);
        }
    }

    [Fact]
    public void WhatIsSetAboutDecodingDecidesWhatIsInOrder()
    {
        DatasetCheckReport Deep(DecodingOptions decoding) => DatasetCheck.Run(
            Manifest(_ => { }), new() { Root = _scratch.Path("data"), Deep = true, Decoding = decoding }, SilentProgress.Instance);

        _scratch.Write(File.ReadAllBytes(Path.Combine(PillowCases.Folder, "jpeg-420.jpg"))[..800], "data", "b", "2.jpg");
        Assert.Contains("--truncated-images", Assert.Single(Sentences(Deep(DecodingOptions.Default))), StringComparison.Ordinal);
        Assert.Empty(Deep(new() { TruncatedImages = true }).Problems);
        Assert.All(Sentences(Deep(new() { MaxPixels = 1, TruncatedImages = true })), sentence => Assert.Contains("more than the 1 that", sentence, StringComparison.Ordinal));
    }

    [Fact]
    public void ADanglingLinkIsFound()
    {
        File.Delete(_scratch.Path("data", "a", "2.jpg"));
        File.CreateSymbolicLink(_scratch.Path("data", "a", "2.jpg"), "/nowhere/2.jpg");
        Assert.Contains("is a link to /nowhere/2.jpg, which does not exist", Assert.Single(Sentences(Check())), StringComparison.Ordinal);
    }

    [Fact]
    public void TruncatedImagesAreFoundByDecodingAndToldInOrder()
    {
        var cut = ScratchFolder.Jpeg[..(ScratchFolder.Jpeg.Length / 2)];
        var (first, last) = (_scratch.Write(cut, "data", "a", "1.jpg"), _scratch.Write(cut, "data", "b", "2.jpg"));
        Assert.Empty(Check().Problems);
        var report = Check(deep: true);
        Assert.Equal(2, report.Problems.Count);
        Assert.Contains(first, report.Problems[0].Sentence, StringComparison.Ordinal);
        Assert.Contains(last, report.Problems[1].Sentence, StringComparison.Ordinal);
        Assert.Contains("truncated", report.Problems[0].Sentence, StringComparison.Ordinal);
        Assert.Equal(2, report.Splits[0].Counts.Single(count => count.What == "decoded images").Found);
    }

    [Fact]
    public void WhatIsLeftOutIsToldAndNoProblem()
    {
        _scratch.Write([1], "data", "a", ".DS_Store");
        _scratch.Write([1], "data", "notes.txt");
        var report = Check();
        Assert.Empty(report.Problems);
        Assert.Equal(["names that begin with a dot", "files of other kinds"], report.Splits[0].LeftOut.Select(left => left.Reason).OrderDescending());
    }

    [Fact]
    public void AMissingFolderIsAProblem()
    {
        var sentence = Assert.Single(Sentences(Check(manifest => Split(manifest)["path"] = "elsewhere")));
        Assert.Contains("The split all of own is missing", sentence, StringComparison.Ordinal);
        Assert.Contains(Path.Combine("data", "elsewhere") + " does not exist", sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void OfSeveralPlacesTheOneThatIsThereCounts() => Assert.Empty(Check(manifest =>
    {
        Split(manifest)["path"] = "elsewhere|data";
    }, root: _scratch.Root).Problems);

    [Fact]
    public void WhatASplitNeedsMustBeThere()
    {
        var sentence = Assert.Single(Sentences(Check(manifest => Split(manifest)["needs"] = new JsonArray("captions.json|texts.json", "a"))));
        Assert.Contains("data has no captions.json or texts.json", sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void AnOptionalSplitMayBeMissingWhereAnotherOneIsThere()
    {
        static void AddOptional(JsonObject manifest)
        {
            var other = Split(manifest).DeepClone().AsObject();
            (other["name"], other["path"], other["optional"]) = ("other", "elsewhere", true);
            manifest["splits"]!.AsArray().Add(other);
        }

        var report = Check(AddOptional);
        Assert.Empty(report.Problems);
        Assert.Contains("does not exist", report.Splits[1].PassedOver, StringComparison.Ordinal);
        // Asked for by name it must be there.
        Assert.Single(Check(AddOptional, splits: ["other"]).Problems);
        Assert.Single(Check(AddOptional, splits: ["all", "other"]).Problems);
    }

    [Fact]
    public void ASetThatNothingPlacesIsRefused()
    {
        var manifest = DatasetManifests.OfTheKit.Find("imagenet");
        var error = Assert.Throws<UserException>(() => DatasetCheck.Run(manifest, new() { GetVariable = _ => null }, SilentProgress.Instance));
        Assert.Equal("Nothing says where imagenet is: set IMAGENET_VAL or DATA_ROOT, or give --root FOLDER.", error.Message);
    }

    [Fact]
    public void UnknownSplitsReadersAndCountsAreRefused()
    {
        AssertRefused("has no split 'test'", () => Check(splits: ["test"]));
        AssertRefused("The reader 'parquet' is unknown", () => Check(manifest => Split(manifest)["reader"] = "parquet"));
        AssertRefused("7 captions, which the reader folders does not count", () => Check(manifest => Split(manifest)["counts"]!["captions"] = 7));
    }

    [Fact]
    public void ChecksumsOfFilesThatAreThereAreCompared()
    {
        _scratch.Write([1, 2, 3], "data", "good.zip");
        _scratch.Write([1, 2, 4], "data", "bad.zip");
        var (md5, sha256) = (Hash(HashAlgorithmName.MD5), Hash(HashAlgorithmName.SHA256));
        void Add(JsonObject manifest) => manifest["checksums"] = new JsonArray(
            new JsonObject { ["path"] = "good.zip", ["md5"] = md5 },
            new JsonObject { ["path"] = "bad.zip", ["sha256"] = sha256 },
            new JsonObject { ["path"] = "thrown-away.zip", ["sha256"] = sha256 });
        Assert.Empty(Check(Add).Checksums);
        var report = Check(Add, deep: true);
        Assert.Equal([true, false], report.Checksums.Select(sum => sum.IsRight));
        Assert.Contains("bad.zip is not the published file", Assert.Single(report.Problems).Sentence, StringComparison.Ordinal);

        static string Hash(HashAlgorithmName name) => Convert.ToHexStringLower(CryptographicOperations.HashData(name, [1, 2, 3]));
    }

    [Fact]
    public void TheGeneratedSetIsInOrder() => Assert.Empty(DatasetCheck.Run(
        DatasetManifests.OfTheKit.Find("shapes"), new() { Splits = ["validation", "retrieval"], Deep = true }, SilentProgress.Instance).Problems);

    [Fact]
    public void CaptionsAndTheirImagesAreReadAsForEvaluations()
    {
        const string annotations = """
            {"images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}, {"id": 3, "file_name": "3.jpg"}],
             "annotations": [{"image_id": 1, "caption": "one"}, {"image_id": 2, "caption": "two"}, {"image_id": 3, "caption": "three"}, {"image_id": 3, "caption": "drei"}]}
            """;
        var list = _scratch.Write(Encoding.UTF8.GetBytes(annotations), "coco", "annotations", "captions_val2017.json");
        _scratch.Write(ScratchFolder.Jpeg, "coco", "images", "val2017", "1.jpg");
        var coco = DatasetManifests.OfTheKit.Find("coco");
        var manifest = coco with { Splits = [coco.Split("val2017") with { Counts = new Dictionary<string, long> { ["images"] = 3, ["captions"] = 4 } }] };
        IReadOnlyList<string> Problems(bool deep) => Sentences(DatasetCheck.Run(manifest, new() { Root = _scratch.Path("coco"), Deep = deep }, SilentProgress.Instance));

        // Every image that is missing is named.
        var missing = Problems(deep: false);
        Assert.Equal(2, missing.Count);
        Assert.Contains("2.jpg", missing[0], StringComparison.Ordinal);
        Assert.Contains("3.jpg", missing[1], StringComparison.Ordinal);
        _scratch.Write(ScratchFolder.Jpeg, "coco", "images", "val2017", "2.jpg");
        _scratch.Write(ScratchFolder.Jpeg, "coco", "images", "val2017", "3.jpg");
        Assert.Empty(Problems(deep: true));
        File.WriteAllText(list, annotations.Replace("\"drei\"", "7", StringComparison.Ordinal));
        Assert.Contains(list, Assert.Single(Problems(deep: false)), StringComparison.Ordinal);
    }

    [Fact]
    public void CaptionsInShardsAreReadWhereImagesAreDecoded()
    {
        void Shards(JsonObject manifest) => manifest["splits"] = new JsonArray(JsonNode.Parse(
            """{"name": "pairs", "purpose": "tests", "reader": "pairs", "path": "0.tar", "counts": {"shards": 1, "captions": 2}}"""));
        var shard = new TarBytes().Add("0.jpg", ScratchFolder.Jpeg).Add("0.txt", "one").Add("1.jpg", ScratchFolder.Jpeg).Add("1.txt", [(byte)'c', 0xE9]).Ended;
        _scratch.Write(shard, "data", "0.tar");
        Assert.Empty(Check(Shards).Problems);
        Assert.Contains("1.jpg is not UTF-8", Assert.Single(Sentences(Check(Shards, deep: true))), StringComparison.Ordinal);
    }

    [Fact]
    public void RecordsOfCifarAreCountedByTheirLabels()
    {
        CifarFiles.WriteBinary10(_scratch.Path("cifar"));
        var sentences = Sentences(DatasetCheck.Run(
            DatasetManifests.OfTheKit.Find("cifar-10"), new() { Root = _scratch.Path("cifar"), Splits = ["test"], Deep = true }, SilentProgress.Instance));
        Assert.Equal(3, sentences.Count);
        Assert.Contains("has 3 images instead of 10000", sentences[0], StringComparison.Ordinal);
        Assert.Contains("has 0 images in the smallest class instead of 1000", sentences[1], StringComparison.Ordinal);
    }

    [Fact]
    public void TextsAreCountedByTheirSymbols()
    {
        void Text(JsonObject manifest) => manifest["splits"] = new JsonArray(JsonNode.Parse(
            """{"name": "test", "purpose": "tests", "reader": "text", "path": "test.txt", "counts": {"characters": 10, "symbols": 4}}"""));
        _scratch.Write("ab ab c ba"u8.ToArray(), "data", "test.txt");
        Assert.Empty(Check(Text).Problems);
        _scratch.Write("ab ab C b"u8.ToArray(), "data", "test.txt");
        var sentences = Sentences(Check(Text));
        Assert.Equal(2, sentences.Count);
        Assert.Contains("9 characters instead of 10", sentences[0], StringComparison.Ordinal);
        Assert.Contains("1 bytes that are no small letter and no space (0x43)", sentences[1], StringComparison.Ordinal);
    }

    [Fact]
    public void ACancelledCheckStops() => Assert.ThrowsAny<OperationCanceledException>(() => DatasetCheck.Run(
        Manifest(_ => { }), new() { Root = _scratch.Path("data") }, SilentProgress.Instance, new CancellationToken(canceled: true)));

    private static JsonObject Split(JsonObject manifest) => manifest["splits"]![0]!.AsObject();

    private static IReadOnlyList<string> Sentences(DatasetCheckReport report) => [.. report.Problems.Select(problem => problem.Sentence)];

    private static DatasetManifest Manifest(Action<JsonObject> change)
    {
        var json = DatasetManifestTests.Sound();
        change(json);
        return DatasetManifest.Parse(Encoding.UTF8.GetBytes(json.ToJsonString()), "own");
    }

    private static void AssertRefused(string expected, Func<object> check) =>
        Assert.Contains(expected, Assert.Throws<UserException>(check).Message, StringComparison.Ordinal);

    private DatasetCheckReport Check(Action<JsonObject>? change = null, bool deep = false, string? root = null, IReadOnlyList<string>? splits = null) => DatasetCheck.Run(
        Manifest(change ?? (_ => { })), new() { Root = root ?? _scratch.Path("data"), Deep = deep, Splits = splits ?? [] }, SilentProgress.Instance);
}
