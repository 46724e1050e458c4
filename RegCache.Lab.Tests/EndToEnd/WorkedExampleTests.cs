using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Manifests;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Quantization;
using RegCache.Lab.Tests.Encoders;
using TorchSharp;

namespace RegCache.Lab.Tests.EndToEnd;

/// <summary>The worked examples of docs/architecture.md compile without a warning against what is public, and do what they say.</summary>
[Trait("Category", "Slow")]
public sealed partial class WorkedExampleTests : IDisposable
{
    private const int LeastLines = 20;
    private const int MostLines = 65;

    // What the library's files have without writing it: the implicit and the global usings.
    private static readonly string _usings = string.Concat(
        File.ReadAllText(Path.Combine(Goldens.RepositoryRoot, "RegCache.Lab", "GlobalUsings.cs")),
        string.Concat(new[] { "", ".IO", ".Linq", ".Collections.Generic", ".Threading", ".Threading.Tasks" }.Select(part => $"global using System{part};\n")));

    private readonly DisposeScope _scope = torch.NewDisposeScope();
    private readonly ClipModel _model = RandomModels.Create(RandomModels.Tiny);

    private VisionTower Tower => _model.Vision;

    private EncoderPlan Plain => EncoderPlan.Plain(Tower.Blocks.Count);

    [Fact]
    public void ThereAreThreeOfOnePageEach()
    {
        var examples = Examples();
        Assert.Equal(3, examples.Count);
        Assert.All(examples, code => Assert.InRange(code.Split('\n').Length, LeastLines, MostLines));
    }

    [Fact]
    public void TheMergingRuleMergesTheQuietestTokens()
    {
        var method = (MergingMethod)Entry("QuietMerging");
        var setting = new MergingSetting(method, MergeSchedule.Constant(2)) { TrackSources = true };
        var images = new RandomTensors(1).Normal(3, 3, Tower.Config.ImageSize.Height, Tower.Config.ImageSize.Width);
        using var runner = new PlanRunner(Tower);
        var tokens = Tower.Config.Patches + Tower.Config.ClassTokens;
        var blocks = Tower.Blocks.Count;

        var merged = runner.Forward(images, setting.ApplyTo(Plain));
        Assert.Equal(tokens - (2 * blocks), merged.Length);
        Assert.True(merged.Sizes!.sum(1).eq(tokens).all().item<bool>());
        Assert.True(merged.Sources!.sum(1).eq(1).all().item<bool>());
        Assert.Equal(merged.Length, MacsTable.Of(Tower.Config, 1, setting.ApplyTo(Plain)).FinalTokens);
        Assert.True(MacsTable.Of(Tower.Config, 1, setting.ApplyTo(Plain)).Matching > 0);

        // Its option is read from text, as on the command line: only the last block merges.
        var late = setting with { Options = new(new Dictionary<string, string> { [method.Options.Single().Name] = $"{blocks - 1}" }) };
        Assert.Equal(tokens - 2, runner.Forward(images, late.ApplyTo(Plain)).Length);

        // Those that are gone are the smallest.
        var stream = new TokenBatch(new RandomTensors(2).Normal(3, tokens, 8), new(1, 0, Tower.Config.Grid.Height, Tower.Config.Grid.Width));
        var stage = method.Stage(new(0, blocks, 2, setting))!;
        var left = stage.Apply(stream, new(0) { Keys = new RandomTensors(3).Normal(3, 2, tokens, 4) });
        var score = OutlierScore.Of(stream.Tokens);
        var threshold = score.narrow(1, 1, tokens - 1).sort(1).Values.select(1, 2).unsqueeze(1);
        var kept = left.Positions!;
        Assert.True(score.gather(1, kept.narrow(1, 1, kept.shape[1] - 1)).ge(threshold).all().item<bool>());
    }

    [Fact]
    public void TheQuantizerScoresBetterWithMoreBits()
    {
        var family = (QuantizerFamily)Entry("PowerOfTwoWeights");
        using var classifier = new ZeroShotClassifier(ZeroShotClassifier.Normalize(new RandomTensors(4).Normal(5, 12)).t().contiguous());
        using var images = new MemoryImageSource(
            new RandomTensors(5).Normal(6, 3, Tower.Config.ImageSize.Height, Tower.Config.ImageSize.Width), [0, 1, 2, 3, 4, 0]);
        IQuantizer Quantizer(int bits) => family.Create(
            new(Tower, () => classifier, new(bits, 8), 3, () => throw new InvalidOperationException("Weights need no images."))).Calibrate(Plain);
        EncoderPlan[] plans = [Plain, .. new[] { 8, 5, 3 }.Select(bits => Quantizer(bits).ApplyTo(Plain))];
        var scores = PlanEvaluation.Run(Tower, classifier, images, new(plans), new("example", 3), reference: 0);
        Assert.Equal(0, scores[0].FeatureMse);
        Assert.True(scores[1].FeatureMse > 0);
        Assert.True(scores[1].FeatureMse < scores[2].FeatureMse && scores[2].FeatureMse < scores[3].FeatureMse);

        // Powers of two times small whole numbers: 127 steps at most, each row with its own.
        static Tensor Weight(BlockLayers layers) => layers.Linear(LinearKind.MlpOut)!.Weight;
        var weight = Weight(Quantizer(8).Apply(0, Tower.Blocks[0]));
        var step = (Weight(Tower.Blocks[0]).abs().amax([1], keepdim: true) / 127).log2().ceil().exp2();
        Assert.True((weight / step).frac().eq(0).all().item<bool>());

        // Plans with equal quantizers share the computation.
        Assert.Equal(Quantizer(8), Quantizer(8));
        Assert.Equal(Quantizer(8).Only(LinearKind.MlpIn).GetHashCode(), Quantizer(8).Only(LinearKind.MlpIn).GetHashCode());
    }

    [Fact]
    public void TheFormatReadsImagesAndLabels()
    {
        using var folder = new TemporaryFolder();
        var (path, labels) = (folder["t10k-images-idx3-ubyte"], folder["t10k-labels-idx1-ubyte"]);
        byte[] Image(params byte[] greys) => [.. greys.SelectMany(grey => Enumerable.Repeat(grey, 4 * 4))];
        File.WriteAllBytes(path, [0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 4, .. Image(255, 0, 51)]);
        File.WriteAllBytes(labels, [0, 0, 8, 1, 0, 0, 0, 3, 3, 0, 1]);
        var format = (ImageSetFormat)Entry("IdxImages");
        var text = File.ReadAllText(Path.Combine(Goldens.RepositoryRoot, "docs", "architecture.md"));
        var json = text[(text.LastIndexOf("```json", StringComparison.Ordinal) + 7)..text.LastIndexOf("```", StringComparison.Ordinal)];
        var split = DatasetManifest.Parse(Encoding.UTF8.GetBytes(json), "docs/architecture.md").Split("test");
        Assert.Equal(format.Name, split.Reader);
        Assert.True(format.Recognises(split.Path!));
        Assert.True(format.Recognises(path));
        Assert.False(format.Recognises(labels));
        using var set = format.Open(new() { Path = path });
        Assert.Equal(["0", "1", "2", "3"], set.ClassNames);
        Assert.Equal($"{path}: 3 images in 4 classes (without images: 2).", set.Inventory.ToString());

        var (height, width) = Tower.Config.ImageSize;
        var images = new ImageSetSource(set, new(new(height, width) { Mean = RgbValues.All(0), StandardDeviation = RgbValues.All(1) }));
        Assert.Equal([3, 0, 1], images.Labels);
        var read = images.Read([2, 0]);
        Assert.Equal([2, 3, height, width], read.shape);
        Assert.Equal(0, (read[0] - 0.2).abs().max().item<float>(), 1e-6);
        Assert.Equal(0, (read[1] - 1).abs().max().item<float>(), 1e-6);
        using var classifier = new ZeroShotClassifier(ZeroShotClassifier.Normalize(new RandomTensors(4).Normal(5, 12)).t().contiguous());
        Assert.Equal(3, PlanEvaluation.Run(Tower, classifier, images, new([Plain]), new("example", 2)).Single().Images);

        // What is broken is named.
        Assert.EndsWith("image 2", set.Name(2), StringComparison.Ordinal);
        File.WriteAllBytes(labels, [0, 0, 8, 1, 0, 0, 0, 2, 3, 0]);
        Assert.Contains("is not 2 images of 4 x 4 pixels", Refusal(), StringComparison.Ordinal);
        File.WriteAllBytes(labels, [0, 0, 8]);
        Assert.Contains("cut off in its header", Refusal(), StringComparison.Ordinal);
        File.Delete(labels);
        Assert.Contains("labels-idx1-ubyte cannot be read", Refusal(), StringComparison.Ordinal);

        string Refusal() => Assert.Throws<UserException>(() => format.Open(new() { Path = path })).Message;
    }

    public void Dispose()
    {
        _model.Dispose();
        _scope.Dispose();
    }

    private static List<string> Examples()
    {
        var text = File.ReadAllText(Path.Combine(Goldens.RepositoryRoot, "docs", "architecture.md"));
        var section = text[text.IndexOf("## Three worked examples", StringComparison.Ordinal)..];
        return [.. CodeBlock().Matches(section).Select(match => match.Groups["code"].Value)];
    }

    private static object Entry(string name) => Example(name).GetProperty("Entry")!.GetValue(null)!;

    /// <summary>The type of that name from the example that declares it, compiled as a file of the library would be.</summary>
    private static Type Example(string name)
    {
        var code = Examples().Single(code => code.Contains($" {name}", StringComparison.Ordinal));
        var options = new CSharpParseOptions(LanguageVersion.Latest, DocumentationMode.Diagnose);
        var assemblies = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
        var compilation = CSharpCompilation.Create(
            $"example-{name}",
            [CSharpSyntaxTree.ParseText(code, options), CSharpSyntaxTree.ParseText(_usings, options)],
            assemblies.Select(file => MetadataReference.CreateFromFile(file)),
            new(
                OutputKind.DynamicallyLinkedLibrary,
                nullableContextOptions: NullableContextOptions.Enable,
                // TorchSharp is built against an older .NET; the SDK leaves this warning out, too.
                specificDiagnosticOptions: [new("CS1701", ReportDiagnostic.Suppress)]));
        using var library = new MemoryStream();
        var result = compilation.Emit(library);
        Assert.Empty(result.Diagnostics.Where(found => found.Severity >= DiagnosticSeverity.Warning));
        return Assembly.Load(library.ToArray()).GetExportedTypes().Single(type => type.Name == name);
    }

    [GeneratedRegex("```csharp\n(?<code>.*?)\n```", RegexOptions.Singleline)]
    private static partial Regex CodeBlock();
}
