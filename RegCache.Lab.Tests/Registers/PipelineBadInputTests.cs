using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Tests.Data.Images;

namespace RegCache.Lab.Tests.Registers;

/// <summary>Bad input of the pipeline: one sentence on standard error, exit code 2, nothing that a later run would trust.</summary>
[Trait("Category", "Slow")]
public sealed class PipelineBadInputTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly List<string> _arguments;

    public PipelineBadInputTests()
    {
        var demo = PlantedModel.Write(_folder["demo"], Goldens.Path("regcache"));
        _arguments = [.. demo.PipelineArguments, "--bits", demo.Bits.ToString(), "--run-dir", _folder["demo", "run"]];
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void MissingModel()
    {
        Set("--model", _folder["nowhere"]);
        AssertRefused("nowhere");
    }

    [Fact]
    public void TruncatedWeights()
    {
        using (var stream = File.OpenWrite(Weights))
        {
            stream.SetLength(stream.Length / 2);
        }

        AssertRefused("model.safetensors");
    }

    [Fact]
    public void ConfigurationOfAnotherModel()
    {
        var path = Path.Combine(Option("--model"), "open_clip_config.json");
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"layers\":7", "\"layers\":9"));
        AssertRefused("does not fit the configuration");
    }

    [Fact]
    public void NotANumberInTheWeights()
    {
        using (var file = WeightFile.Open(Weights))
        {
            var entries = file.Tensors.Select(entry => entry.Name == "visual.proj"
                ? WeightEntry.FromValues<float>(entry.Name, [.. entry.ToArray<float>().Skip(1), float.NaN], [.. entry.Shape])
                : WeightEntry.FromValues<float>(entry.Name, entry.ToArray<float>(), [.. entry.Shape])).ToList();
            SafetensorsWriter.Write(_folder["nan.safetensors"], entries);
        }

        File.Move(_folder["nan.safetensors"], Weights, overwrite: true);
        AssertRefused("`visual.proj` holds NaN or infinite values");
    }

    [Fact]
    public void NoImages()
    {
        foreach (var file in Directory.GetFiles(Option("--imagenet-val"), "*.png", SearchOption.AllDirectories))
        {
            File.Delete(file);
        }

        AssertRefused("IMAGENET_VAL");
    }

    [Fact]
    public void ZeroByteImageIsNamedAndRefusedUnlessSkipped()
    {
        var victim = Directory.GetFiles(Option("--train-sample"), "*.png", SearchOption.AllDirectories).Order().First();
        File.WriteAllBytes(victim, []);
        AssertRefused(Path.GetFileName(victim));
        Assert.False(File.Exists(_folder["demo", "run", "stage1.json"]));

        Set("--max-prefix", "1");
        Set("--max-delete", "1");
        var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["pipeline", .. _arguments, "--skip-bad-images"]);
        Assert.True(code == 0, output + error);
        Assert.Contains("1 unreadable images were left out", error, StringComparison.Ordinal);
        Assert.Contains(Path.GetFileName(victim), error, StringComparison.Ordinal);
    }

    [Fact]
    public void ATruncatedImageIsRefusedUnlessAskedForAndRecordedThen()
    {
        var victim = Directory.GetFiles(Option("--train-sample"), "*.png", SearchOption.AllDirectories).Order().First();
        File.WriteAllBytes(Path.ChangeExtension(victim, ".jpg"), File.ReadAllBytes(Path.Combine(PillowCases.Folder, "jpeg-420.jpg"))[..800]);
        File.Delete(victim);
        AssertRefused("--truncated-images");

        Set("--max-prefix", "1");
        Set("--max-delete", "1");
        var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["pipeline", .. _arguments, "--truncated-images"]);
        Assert.True(code == 0, output + error);
        var result = File.ReadAllText(_folder["demo", "run", "result.json"]);
        foreach (var text in new[] { error, result })
        {
            Assert.Contains("1 truncated images were used as far as they go: ", text, StringComparison.Ordinal);
        }

        Assert.Contains("-truncated images, too-", result, StringComparison.Ordinal);
    }

    [Fact]
    public void ClassFoldersOfAnotherSet()
    {
        Directory.Move(Path.Combine(Option("--train-sample"), "class00"), Path.Combine(Option("--train-sample"), "zebra"));
        AssertRefused("class00 is missing");
    }

    [Fact]
    public void ClassifierOfOtherClasses()
    {
        Directory.CreateDirectory(Path.Combine(Option("--train-sample"), "class99"));
        Directory.CreateDirectory(Path.Combine(Option("--imagenet-val"), "class99"));
        AssertRefused("class folders");
    }

    [Theory]
    [InlineData("W9A8", "9 bits")]
    [InlineData("W8A1", "1 bits")]
    [InlineData("eight", "write it like W8A8")]
    public void BitWidthsOutOfRange(string bits, string expected)
    {
        Set("--bits", bits);
        AssertRefused(expected);
    }

    [Fact]
    public void MoreDeletionsThanTokens()
    {
        Set("--max-delete", "16");
        AssertRefused("an image has 16 patch tokens");
    }

    [Fact]
    public void UnwritableRunDirectory()
    {
        File.WriteAllText(_folder["file"], "");
        Set("--run-dir", _folder["file", "run"]);
        AssertRefused("run directory");
    }

    private string Weights => Path.Combine(Option("--model"), "model.safetensors");

    private string Option(string name) => _arguments[_arguments.IndexOf(name) + 1];

    private void Set(string name, string value) => _arguments[_arguments.IndexOf(name) + 1] = value;

    private void AssertRefused(string expected)
    {
        var (code, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["pipeline", .. _arguments]);
        Assert.True(code == 2, $"exit code {code}: {error}");
        var last = error.TrimEnd('\n').Split('\n')[^1];
        Assert.Contains(expected, last, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }
}
