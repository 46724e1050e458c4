using System.Globalization;
using System.Text;
using RegCache.Lab.Encoders;
using RegCache.Lab.Notebooks.Pictures;
using RegCache.Lab.Placement;
using RegCache.Lab.Tests.Data;
using RegCache.Lab.Tests.Placement;

namespace RegCache.Lab.Tests.Cli;

/// <summary>`attention`, `eval vit` and `model summary` as their users call them.</summary>
[Trait("Category", "Slow")]
public sealed class VitCommandTests : IDisposable
{
    private static readonly PlacementConfig _config = new()
    {
        ImageSize = (32, 32), PatchSize = (8, 8), Classes = 10, Width = 24, Depth = 3, Heads = 4, Registers = 2, ClassBlock = 1, RegisterBlock = 2,
    };

    private readonly TemporaryFolder _folder = new();

    public VitCommandTests()
    {
        using var model = DynamicVit.Create(_config, seed: 2);
        model.Save(_folder["model"]);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void ThePdfHasAPageATokenWithTextTitles()
    {
        var (code, output, error) = Run(
            "attention", "--model_path", _folder["model"], "--layer_num", "2", "--image", PngFile(), "--output_dir", _folder["out", "below"]);
        Assert.True(code == 0, error);
        var path = _folder["out", "below", "attention_maps_layer_2_of_image_picture_cls_1_reg_2.pdf"];
        Assert.Contains(path, output, StringComparison.Ordinal);
        using var document = PdfSharp.Pdf.IO.PdfReader.Open(path, PdfSharp.Pdf.IO.PdfDocumentOpenMode.Import);
        Assert.Equal(3, document.PageCount);
        for (var page = 0; page < 3; page++)
        {
            var content = Encoding.ASCII.GetString(document.Pages[page].Contents.CreateSingleContent().Stream.UnfilteredValue);
            string[] titles = [.. content.Split('\n').Where(line => line.StartsWith("BT", StringComparison.Ordinal)).Select(line => Encoding.Latin1.GetString(Convert.FromHexString(line.Split('<', '>')[1])))];
            var token = page == 0 ? "Class token" : $"Register {page}";
            Assert.Equal(
                ["picture.png", page == 0 ? "layer 2, class token from block 1 on" : "layer 2, registers from block 2 on", .. Enumerable.Range(1, 4).Select(head => $"{token}, head {head}"), $"{token}, mean of the heads"],
                titles);
            Assert.Equal(6, content.Split('\n').Count(line => line.EndsWith("Do Q", StringComparison.Ordinal)));
        }
    }

    [Theory]
    [InlineData("layer 3: the model has layers 0 to 2", "--layer", "3", "--image", "{png}")]
    [InlineData("layer 0 there are no registers: they enter before block 2", "--layer", "0", "--image", "{png}")]
    [InlineData("layer 0 there is no class token: it enters before block 1", "--layer", "0", "--tokens", "cls", "--image", "{png}")]
    [InlineData("--index 99 is outside the set", "--layer", "2", "--data", "{cifar}", "--index", "99")]
    [InlineData("--index 1 needs the set", "--layer", "2", "--index", "1")]
    [InlineData("Give one image", "--layer", "2")]
    [InlineData("must be a multiple of patch_size", "--layer", "2", "--image", "{png}", "--img-size", "30")]
    [InlineData("has 2 registers, not 5", "--layer", "2", "--image", "{png}", "--num_reg", "5")]
    public void MistakesAreOneSentenceAndNothingIsWritten(string expected, params string[] arguments)
    {
        var (code, _, error) = Run(["attention", "--model", _folder["model"], "--out", _folder["out"], .. arguments.Select(Fill)]);
        Assert.Equal(2, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["out"]));
    }

    [Fact]
    public void AnImageOfASetHasItsClassAndItsIndex()
    {
        var (code, output, error) = Run("attention", "--model", _folder["model"], "--layer", "1", "--tokens", "cls", "--data", Fill("{cifar}"), "--index", "2", "--out", _folder["out"]);
        Assert.True(code == 0, error);
        Assert.Contains("(1 pages)", output, StringComparison.Ordinal);
        Assert.True(File.Exists(_folder["out", "attention_maps_layer_1_of_image_2_cls_1_reg_2.pdf"]));
    }

    [Fact]
    public void EvaluationEqualsTheLibrarys()
    {
        var (code, output, error) = Run("eval", "vit", "--model_path", _folder["model"], "--dataset", Fill("{cifar}"), "--run-dir", _folder["run"], "--batch", "2");
        Assert.True(code == 0, error);
        using var experiment = RegCache.Lab.Evaluation.Experiment.Open(new()
        {
            Model = _folder["model"], ValidationImages = Fill("{cifar}"), OnTensorOperators = true,
        });
        var expected = VitEvaluation.Run(experiment.Tower, experiment.Validation, experiment.Pass("images"));
        var line = output.Split('\n').Single(text => text.StartsWith("top-1", StringComparison.Ordinal));
        Assert.Equal(FormattableString.Invariant($"top-1 {expected.Top1:0.00} %, top-5 {expected.Top5:0.00} %, loss {expected.Loss:0.0000} of {expected.Images} images"), line.TrimEnd());
        Assert.InRange(expected.Top5, expected.Top1, 100);
        Assert.DoesNotContain("IMAGENET_VAL", error + File.ReadAllText(_folder["run", "result.json"]), StringComparison.Ordinal);
    }

    [Fact]
    public void TheSummaryOfAPublishedSizeHasItsParameters()
    {
        var (code, output, _) = Run("model", "summary", "--size", "tiny", "--num_reg", "4", "--cls_pos", "6", "--reg_pos", "3");
        Assert.Equal(0, code);
        Assert.Contains("5,711,080", output, StringComparison.Ordinal);
        Assert.Contains("2: 0/196/0, 3: 0/196/4, 4: 0/196/4, 5: 0/196/4, 6: 1/196/4", output, StringComparison.Ordinal);
        Assert.Contains("[-1, 3, 201, 201]", output, StringComparison.Ordinal);
        (code, output, _) = Run("model", "summary", _folder["model"]);
        Assert.Equal(0, code);
        var count = PlacementParameters.Count(_config).ToString("N0", CultureInfo.InvariantCulture);
        Assert.Contains($"{count} ({count} trainable, 0 frozen)", output, StringComparison.Ordinal);
        Assert.Equal(2, Run("model", "summary", _folder["model"], "--classes", "5").ExitCode);
    }

    [Fact]
    public void PanelsHaveTheColoursOfViridisAndConstantOnesItsLowest()
    {
        var pdf = new AttentionPdf(_config, 2);
        var pixels = pdf.Pixels([.. Enumerable.Range(0, 16).Select(patch => (float)patch)]);
        Assert.Equal(32 * 32 * 3, pixels.Length);
        Assert.Equal(new byte[] { 68, 1, 84 }, pixels[..3]);
        Assert.Equal(new byte[] { 253, 231, 37 }, pixels[^3..]);
        Assert.Equal(pixels[..3], pixels[(7 * 3)..(8 * 3)]);
        Assert.NotEqual(pixels[..3], pixels[(8 * 3)..(9 * 3)]);
        Assert.All(pdf.Pixels([.. Enumerable.Repeat(0.25f, 16)]).Chunk(3), pixel => Assert.Equal(new byte[] { 68, 1, 84 }, pixel));
    }

    private static (int ExitCode, string Output, string Error) Run(params string[] arguments) =>
        ExternalProcess.Run(ExternalProcess.Regcache, arguments, [("COLUMNS", "200")]);

    private string Fill(string argument) => argument switch
    {
        "{png}" => PngFile(),
        "{cifar}" => CifarFiles.WriteBinary10(_folder.Root),
        _ => argument,
    };

    private string PngFile()
    {
        var path = _folder["picture.png"];
        File.Copy(Path.Combine(Goldens.RepositoryRoot, "RegCache.Lab.Tests", "Data", "Images", "Files", "png-rgb-8.png"), path, overwrite: true);
        return path;
    }
}
