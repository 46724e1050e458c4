using System.Text.Json;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Tests.Data.Images;
using RegCache.Lab.Tests.Registers;
using TorchSharp;

namespace RegCache.Lab.Tests.Cli;

/// <summary>`regcache features` as its users call it, on the model that comes with the kit.</summary>
[Trait("Category", "Slow")]
public sealed class FeaturesCommandTests : IDisposable
{
    private const string Model = "models/shapes-clip";
    private readonly TemporaryFolder _folder = new();
    private readonly string _first = Path.Combine(PillowCases.Folder, "png-rgb-8.png");
    private readonly string _second = Path.Combine(PillowCases.Folder, "jpeg-444.jpg");

    private string Npy => _folder["f.npy"];

    private string Safetensors => _folder["f.safetensors"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void FeaturesAreThoseOfTheLibrary()
    {
        var output = Run(_first, _second, "--output", Npy);
        Assert.Contains("image_features", output, StringComparison.Ordinal);
        Assert.Contains("[2, 96]", output, StringComparison.Ordinal);
        using var scope = torch.NewDisposeScope();
        GoldenTensors.AssertClose(Expected(EncoderPlan.Plain), ReadNpy(Npy, 2, 96), 1e-5);
        using var manifest = JsonDocument.Parse(File.ReadAllText($"{Npy}.json"));
        Assert.Equal([_first, _second], manifest.RootElement.GetProperty("images").EnumerateArray().Select(item => item.GetString()));
        Assert.Equal("float", manifest.RootElement.GetProperty("plan").GetString());
        Assert.Equal(ContentHash(Model), manifest.RootElement.GetProperty("model_sha256").GetString());
    }

    [Fact]
    public void APlanIsTheOneThatIsAskedFor()
    {
        Run(_first, _second, "--baseline", "naive", "--bits", "4", "--scope", "image", "--delete-block", "3", "--delete-count", "2", "--merging", "tome", "--r", "2", "--output", Npy);
        using var scope = torch.NewDisposeScope();
        var quantizer = RegCache.Lab.Quantization.QuantizerFamilies.All.Find("naive");
        var expected = Expected(layers =>
        {
            var plan = new RegCache.Lab.Registers.RegCacheSetting(0, 0, 3, 2).ApplyTo(EncoderPlan.Plain(layers), null);
            plan = RegCache.Lab.Merging.MergingSetting.ToMe(2).ApplyTo(plan);
            var values = MethodValues.None.With(quantizer.Options.Single(option => option.Name == "--scope"), "image");
            return quantizer.Create(new(null!, null!, new(4, 4), 64, null!) { Values = values }).Calibrate(plan).ApplyTo(plan);
        });
        GoldenTensors.AssertClose(expected, ReadNpy(Npy, 2, 96), 1e-4);
    }

    [Fact]
    public void TokensTextsAndLogitsGoIntoOneFile()
    {
        File.WriteAllText(_folder["captions.txt"], "a small red circle\na large blue star\n");
        Run(
            _first, "--what", "features,tokens,logits,inputs", "--blocks", "input,0,last", "--tokens", "patches", "--text", "a green ring", "--texts", _folder["captions.txt"],
            "--prompts", $"{Model}/prompts.json", "--output", Safetensors);
        using var file = WeightFile.Open(Safetensors);
        long[] Shape(string name) => [.. file[name].Shape];
        Assert.Equal([1, 3, 64, 64], Shape("image_pixels"));
        Assert.Equal([1, 64, 96], Shape("image_tokens.input"));
        Assert.Equal([1, 64, 96], Shape("image_tokens.block0"));
        Assert.Equal([1, 64, 96], Shape("image_tokens.block5"));
        Assert.Equal([3, 20], Shape("text_ids"));
        Assert.Equal([3, 20, 96], Shape("text_tokens.block1"));
        Assert.Equal([3, 96], Shape("text_features"));
        Assert.Equal([1, 3], Shape("logits_per_image"));
        Assert.Equal([1, 48], Shape("class_logits"));
        Assert.Contains("a green ring", file.Metadata["texts"], StringComparison.Ordinal);
        Assert.Contains("yellow cross", file.Metadata["classes"], StringComparison.Ordinal);

        using var scope = torch.NewDisposeScope();
        using var clip = LoadedClip.Load(Path.Combine(Goldens.RepositoryRoot, Model));
        torch.Tensor Normal(string name) => ZeroShotClassifier.Normalize(file[name].ToTensor());
        GoldenTensors.AssertClose(clip.Model.Logits(Normal("image_features"), Normal("text_features")), file["logits_per_image"].ToTensor(), 1e-4);
    }

    [Fact]
    public void AnImageMayComeThroughAPipe()
    {
        Run(_second, "--output", Npy);
        foreach (var input in new[] { "-", "/dev/stdin", "<(cat \"$0\")" })
        {
            var (code, _, error) = ExternalProcess.Run(
                "bash", ["-c", $"cat \"$0\" | \"$1\" features {input} --model {Model} --output \"$2\"", _second, ExternalProcess.Regcache, _folder["pipe.npy"]]);
            Assert.True(code == 0, error);
            Assert.Equal(File.ReadAllBytes(Npy), File.ReadAllBytes(_folder["pipe.npy"]));
        }
    }

    [Fact]
    public void BadImagesAreLeftOutOnlyWhenAskedTo()
    {
        File.WriteAllText(_folder["bad.png"], "no image");
        AssertRefused("bad.png", _first, _folder["bad.png"], "--output", Npy);
        var (code, output, error) = ExternalProcess.Run(
            ExternalProcess.Regcache, ["features", _folder["none.png"], _first, _folder["bad.png"], "--model", Model, "--skip-bad-images", "--output", Npy]);
        Assert.True(code == 0, error);
        Assert.Contains("[1, 96]", output, StringComparison.Ordinal);
        Assert.Contains("bad.png", error, StringComparison.Ordinal);
        using var manifest = JsonDocument.Parse(File.ReadAllText($"{Npy}.json"));
        Assert.Equal([_first], manifest.RootElement.GetProperty("images").EnumerateArray().Select(item => item.GetString()));
        AssertRefused("None of the 1 images can be read", _folder["bad.png"], "--skip-bad-images", "--output", Npy);
    }

    [Theory]
    [InlineData("says no format", "{image}", "--output", "{folder}/f.npz")]
    [InlineData("there is no such file", "{folder}/none.png", "--output", "{folder}/f.npy")]
    [InlineData("There is nothing to encode", "--output", "{folder}/f.npy")]
    [InlineData("the image encoder has 6 blocks; choose from 0 to 5", "{image}", "--blocks", "6", "--output", "{folder}/f.npy")]
    [InlineData("--blocks takes block numbers", "{image}", "--blocks", "0,x", "--output", "{folder}/f.npy")]
    [InlineData("--tokens takes class, registers, patches, all", "{image}", "--tokens", "cls", "--output", "{folder}/f.npy")]
    [InlineData("--what takes features, tokens, logits, inputs", "{image}", "--what", "feature", "--output", "{folder}/f.npy")]
    [InlineData("registers 0", "--blocks", "1", "{image}", "--tokens", "registers", "--output", "{folder}/f.npy")]
    [InlineData("can hold one array, not 2", "{image}", "--blocks", "0,1", "--output", "{folder}/f.npy")]
    [InlineData("can hold one array, not 2", "{image}", "--text", "a red ring", "--output", "{folder}/f.npy")]
    [InlineData("--blocks is about tokens", "{image}", "--blocks", "0", "--what", "features", "--output", "{folder}/f.npy")]
    [InlineData("--normalize is about features", "{image}", "--what", "tokens", "--normalize", "--output", "{folder}/f.npy")]
    [InlineData("Logits need something to score", "{image}", "--what", "logits", "--output", "{folder}/f.npy")]
    [InlineData("name image files, too", "--text", "a red ring", "--what", "logits", "--output", "{folder}/f.npy")]
    [InlineData("are about class logits", "{image}", "--prompts", "models/shapes-clip/prompts.json", "--output", "{folder}/f.npy")]
    [InlineData("--bits is for a quantizer", "{image}", "--bits", "8", "--output", "{folder}/f.npy")]
    [InlineData("--execution is about quantized layers", "{image}", "--execution", "integer", "--output", "{folder}/f.npy")]
    [InlineData("--scope belongs to naive, not to none", "{image}", "--scope", "image", "--output", "{folder}/f.npy")]
    [InlineData("CALIB", "{image}", "--baseline", "repqvit", "--output", "{folder}/f.npy")]
    [InlineData("--prefix-count 2: say which prefix", "{image}", "--prefix-count", "2", "--output", "{folder}/f.npy")]
    [InlineData("--delete-block 2: say how many tokens", "{image}", "--delete-block", "2", "--output", "{folder}/f.npy")]
    [InlineData("--merging tome: say how many tokens", "{image}", "--merging", "tome", "--output", "{folder}/f.npy")]
    [InlineData("--r 8: say by which method", "{image}", "--r", "8", "--output", "{folder}/f.npy")]
    [InlineData("cannot be written", "{image}", "--output", "/proc/none/f.npy")]
    public void ImpossibleRequestsAreOneSentence(string expected, params string[] arguments) => AssertRefused(
        expected,
        [.. arguments.Select(argument => argument.Replace("{image}", _first, StringComparison.Ordinal).Replace("{folder}", _folder.Root, StringComparison.Ordinal))]);

    [Fact]
    [Trait("Category", "Golden")]
    public void AModelWithoutATextEncoderHasNoTexts()
    {
        var planted = PlantedModel.Write(_folder["planted"], Goldens.Path("regcache")).PipelineArguments;
        var model = planted[planted.ToList().IndexOf("--model") + 1];
        var (code, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["features", "--text", "a cat", "--model", model, "--output", Npy]);
        Assert.Equal(2, code);
        Assert.Contains("has no text encoder", error, StringComparison.Ordinal);
        Assert.False(File.Exists(Npy));
    }

    private static string ContentHash(string model) =>
        RegCache.Lab.Reports.ContentHash.OfFile(Path.Combine(Goldens.RepositoryRoot, model, "open_clip_model.safetensors"));

    private static string Run(params string[] arguments)
    {
        var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["features", "--model", Model, .. arguments], ("BASELINE", "ptq4vit"));
        Assert.True(code == 0, error);
        return output;
    }

    private void AssertRefused(string expected, params string[] arguments)
    {
        var before = Directory.GetFiles(_folder.Root);
        var (code, _, error) = ExternalProcess.Run(
            ExternalProcess.Regcache, ["features", "--model", Model, .. arguments], ("CALIB", null), ("DATA_ROOT", null));
        Assert.True(code == 2, $"exit code {code}: {error}");
        Assert.Contains(expected, error.TrimEnd('\n').Split('\n')[^1], StringComparison.Ordinal);
        Assert.Equal(before, Directory.GetFiles(_folder.Root));
    }

    private torch.Tensor Expected(Func<int, EncoderPlan> plan)
    {
        using var experiment = Experiment.Open(new() { WithoutImages = true, Model = Path.Combine(Goldens.RepositoryRoot, Model) });
        var reader = new ImageBatchReader(new ImageFileItems([_first, _second]), new(experiment.Preprocess));
        using var runner = new PlanRunner(experiment.Tower);
        var batch = reader.Read(2).Single();
        return runner.Run(torch.tensor(batch.Pixels, [2, 3, 64, 64]), plan(experiment.Tower.Blocks.Count));
    }

    // The last rows x columns numbers of the file.
    private static torch.Tensor ReadNpy(string path, int rows, int columns)
    {
        var bytes = File.ReadAllBytes(path).AsSpan()[^(rows * columns * sizeof(float))..];
        return torch.tensor(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes).ToArray(), [rows, columns]);
    }
}
