using System.Text.Json.Nodes;
using RegCache.Lab.Tests.Data.Images;
using RegCache.Lab.Tests.Data.Manifests;

namespace RegCache.Lab.Tests.Cli;

/// <summary>The commands about data sets seen from outside, on folders in ImageNet's layout.</summary>
[Trait("Category", "Slow")]
public sealed class DataCommandTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();

    public DataCommandTests()
    {
        foreach (var label in new[] { "n01440764", "n01443537", "n01484850" })
        {
            for (var image = 0; image < 6; image++)
            {
                _scratch.Write(ScratchFolder.Jpeg, "imagenet", "train", label, $"{label}_{image}.JPEG");
            }
        }
    }

    private string Root => _scratch.Path("imagenet");

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void TheListNamesAllSetsAndWhatIsHere()
    {
        var (code, output, _) = Run(["data", "list"], ("DATA_ROOT", Root));
        Assert.Equal(0, code);
        foreach (var name in new[] { "cifar-10", "coco", "docci", "imagenet", "text8", "COCO_DATA_ROOT", "karpathy-test" })
        {
            Assert.Contains(name, output, StringComparison.Ordinal);
        }

        Assert.Matches("imagenet .*DATA_ROOT +│ train +│", output);
    }

    [Fact]
    public void ASetIsShownWithItsFacts()
    {
        var (code, output, _) = Run(["data", "show", "imagenet"], ("DATA_ROOT", Root), ("CALIB", null));
        Assert.Equal(0, code);
        foreach (var expected in new[]
        {
            "home page  : https://www.image-net.org/", "licence    : ImageNet terms of access", "variable   : DATA_ROOT", "val/n01440764/*.JPEG",
            "md5 29b22e2961454d5413ddabcf34fc5622  ILSVRC2012_img_val.tar", "1,281,167 images", "(not there)",
        })
        {
            Assert.Contains(expected, output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void AnUnknownSetIsRefusedWithTheNamesThatThereAre()
    {
        var (code, output, error) = Run(["data", "check", "imagenet21k"]);
        Assert.Equal(2, code);
        Assert.Empty(output);
        Assert.Contains("'imagenet21k' is unknown: it must be exactly one of cifar-10", Assert.Single(Lines(error)), StringComparison.Ordinal);
    }

    [Fact]
    public void ABrokenManifestOfOnesOwnIsRefusedByName()
    {
        _scratch.Write("{\"name\": \"own\""u8.ToArray(), "manifests", "own.json");
        var (code, _, error) = Run(["data", "list", "--manifests", _scratch.Path("manifests")]);
        Assert.Equal(2, code);
        Assert.Contains("own.json is broken: it is not valid JSON in line 1", Assert.Single(Lines(error)), StringComparison.Ordinal);
    }

    [Fact]
    public void ACheckTellsWrongCountsAndFailsWithItsOwnExitCode()
    {
        var report = _scratch.Path("problems.csv");
        var (code, output, _) = Run(["data", "check", "imagenet", "--split", "train", "--report", report], ("DATA_ROOT", Root));
        Assert.Equal(3, code);
        Assert.Matches("train +│ classes +│ +1,000 │ +3 │ wrong", output);
        Assert.Contains("has 18 images instead of 1281167", output, StringComparison.Ordinal);
        Assert.EndsWith("4 problems found.\n", output, StringComparison.Ordinal);
        Assert.Equal(5, File.ReadAllLines(report).Length);
        Assert.Equal("dataset,split,problem", File.ReadAllLines(report)[0]);
    }

    [Fact]
    public void ACheckThatNothingPlacesIsBadUse()
    {
        var (code, _, error) = Run(["data", "check", "coco"], ("COCO_DATA_ROOT", null));
        Assert.Equal(2, code);
        Assert.Equal("Nothing says where coco is: set COCO_DATA_ROOT, or give --root FOLDER.", Assert.Single(Lines(error)));
    }

    [Fact]
    public void ASetOfOnesOwnIsCheckedByItsManifest()
    {
        WriteOwnManifest();
        string[] check = ["data", "check", "own", "--root", Root, "--manifests", _scratch.Path("manifests"), "--deep"];
        var (code, output, error) = Run(check);
        Assert.True(code == 0, output + error);
        Assert.EndsWith("No problem found.\n", output, StringComparison.Ordinal);
        Assert.Contains("decoding all: 18 of 18 images", error, StringComparison.Ordinal);
        var cut = _scratch.Write(ScratchFolder.Jpeg[..^200], "imagenet", "train", "n01443537", "n01443537_3.JPEG");
        (code, output, _) = Run(check);
        Assert.Equal(3, code);
        Assert.Contains($"all: The JPEG file {cut} is truncated", output, StringComparison.Ordinal);
        Assert.EndsWith("1 problem found.\n", output, StringComparison.Ordinal);
    }

    [Fact]
    public void BothSetsAreDrawnAndServeTheCommands()
    {
        string[] sample = ["data", "sample", "--data-root", Root, "--per-class", "4", "--images", "5"];
        var (code, output, error) = Run(sample);
        Assert.True(code == 0, error);
        Assert.Matches("train-sample +│ TRAIN_SAMPLE +│ 12 +│ 12 +│", output);
        Assert.Matches("calibration +│ CALIB +│ 5 +│ 5 +│", output);
        var chosen = Images("train_sample_4_per_class");
        Assert.Equal(12, chosen.Count);
        Assert.Equal(5, Images("5calib_train").Count);
        Assert.Empty(chosen.Intersect(Images("5calib_train")));
        Assert.Equal(13, File.ReadAllLines(Path.Combine(Root, "train_sample_4_per_class.txt")).Length);
        (code, output, _) = Run(sample);
        Assert.Equal(0, code);
        Assert.Matches("train-sample +│ TRAIN_SAMPLE +│ 12 +│ 0 +│", output);
        (code, _, error) = Run([.. sample, "--seed", "1"]);
        Assert.Equal(2, code);
        Assert.Contains("lists another set", Lines(error)[^1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--per-class must be a whole number from 1", "--per-class", "0")]
    [InlineData("--mode must be link or copy or list", "--mode", "move")]
    [InlineData("does not exist", "--from", "/nowhere")]
    public void ImpossibleSamplesAreRefused(string expected, params string[] options)
    {
        var (code, _, error) = Run(["data", "sample", "--data-root", Root, .. options]);
        Assert.Equal(2, code);
        Assert.Contains(expected, Assert.Single(Lines(error)), StringComparison.Ordinal);
        Assert.Equal(["train"], Directory.EnumerateFileSystemEntries(Root).Select(Path.GetFileName));
    }

    [Fact]
    public void AKilledSampleGoesOnToTheSameSets()
    {
        string[] sample = ["data", "sample", "--data-root", Root, "--per-class", "4", "--images", "5", "--mode", "copy"];
        var random = new Random(1);
        for (var kill = 0; kill < 4; kill++)
        {
            using var process = ExternalProcess.Start(ExternalProcess.Regcache, sample);
            Thread.Sleep(random.Next(150, 500));
            process.Signal("KILL");
            process.WaitForExit();
        }

        var (code, _, error) = Run(sample);
        Assert.True(code == 0, error);
        var killed = Images("train_sample_4_per_class").Concat(Images("5calib_train")).ToList();
        var (again, _, _) = Run([.. sample, "--to", _scratch.Path("other")]);
        Assert.Equal(0, again);
        Assert.Equal(Directory.EnumerateFiles(_scratch.Path("other"), "*.JPEG", SearchOption.AllDirectories).Select(Path.GetFileName).Order(), killed.Order());
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(Root, "*", SearchOption.AllDirectories), path => path.EndsWith(".part", StringComparison.Ordinal) || path.EndsWith(".tmp", StringComparison.Ordinal));
    }

    private static string[] Lines(string text) => text.TrimEnd('\n').Split('\n');

    private static (int ExitCode, string Output, string Error) Run(IEnumerable<string> arguments, params (string Name, string? Value)[] environment) =>
        ExternalProcess.Run(ExternalProcess.Regcache, arguments, [("REGCACHE_MANIFESTS", null), ("TRAIN_SAMPLE", null), .. environment]);

    private List<string?> Images(string folder) =>
        [.. Directory.EnumerateFiles(Path.Combine(Root, folder), "*.JPEG", SearchOption.AllDirectories).Select(Path.GetFileName).Order(StringComparer.Ordinal)];

    private void WriteOwnManifest()
    {
        var manifest = DatasetManifestTests.Sound();
        var split = manifest["splits"]![0]!.AsObject();
        (split["path"], split["counts"]) = ("train", new JsonObject { ["classes"] = 3, ["images"] = 18 });
        File.WriteAllText(_scratch.Path("manifests", "own.json"), manifest.ToJsonString());
    }
}
