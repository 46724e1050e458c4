using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Memory;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Data.Retrieval;

namespace RegCache.Lab.Tests.Cli;

/// <summary>`regcache study memory` as its users call it. An untrained student is the teacher here, so that its student, the demo model, finds much.</summary>
[Trait("Category", "Slow")]
public sealed class StudyMemoryTests : IDisposable
{
    private const string Model = "models/shapes-clip";
    private readonly TemporaryFolder _folder = new();

    public StudyMemoryTests()
    {
        using var scope = torch.NewDisposeScope();
        using var teacher = LoadedClip.Load(ModelFolder.FindDemo());
        using var student = MemoryStudent.Of(teacher.Model, new() { Blocks = [0, 1, 2, 4], KeyWidth = 16, ValueWidth = 32 }, MemoryStart.Proper, seed: 5);
        ModelFolder.Save(student, _folder["student"], ModelFolder.Open(ModelFolder.FindDemo()));
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void ModelsAreComparedOnSeveralSets()
    {
        RetrievalLayouts.All["coco"](_folder["coco"], 16);
        RetrievalLayouts.All["urban1k"](_folder["urban"], 16);
        var output = Run(
            "--teacher", _folder["student"], "--distilled", Model, "--dataset", $"coco:{_folder["coco"]}", $"urban1k:{_folder["urban"]}", "--dataset", "shapes@validation",
            "--errors", "2", "--top-k", "3", "--throughput-runs", "4", "--throughput-batch", "2");
        var rows = CsvTable.Read<MemoryStudyRow>(_folder["run", "memory.csv"]);
        Assert.Equal(
            from set in new[] { "coco", "urban1k", "shapes@validation" } from direction in new[] { "image to text", "text to image" } from model in new[] { "teacher", "distilled" } select (set, direction, model),
            rows.Select(row => (row.Dataset, row.Direction, row.Model)));
        var last = rows[^1];
        Assert.Equal(960, last.Queries);
        Assert.True(last.R1Change > 20, $"{last}");
        Assert.Contains($"{last.R1:0.00} (+{last.R1Change:0.00})", output, StringComparison.Ordinal);
        var models = CsvTable.Read<MemoryModelRow>(_folder["run", "models.csv"]);
        Assert.Equal([true, false], models.Select(model => model.MemoryAdded > 0));
        Assert.All(models, model => Assert.True(model.ImagesPerSecond > 0));

        var gaps = File.ReadAllLines(_folder["run", "errors", "gaps_shapes-validation_distilled_text_to_image.jsonl"]).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.All(gaps, gap => Assert.True(gap.GetProperty("teacher_rank").GetInt32() > 3 && gap.GetProperty("student_rank").GetInt32() <= 3));
        var page = File.ReadAllText(_folder["run", "errors_shapes-validation.html"]);
        // Two queries of each direction; each has its picture and two maps, and a query by text two rows of three pictures.
        Assert.Equal((2 * 3) + (2 * (3 + 6)), page.Split("data:image/jpeg").Length - 1);
        Assert.Contains($"The student answers {gaps.Count} of these", page, StringComparison.Ordinal);
        Assert.Contains("In short", File.ReadAllText(_folder["run", "memory.html"]), StringComparison.Ordinal);
        var result = JsonDocument.Parse(File.ReadAllText(_folder["run", "result.json"])).RootElement;
        Assert.Equal(rows.Count, result.GetProperty("result").GetProperty("rows").GetArrayLength());
        Assert.Equal(
            rows.First(row => row is { Dataset: "coco", Model: "distilled", Direction: "text to image" }).R5 / 100,
            result.GetProperty("result").GetProperty("metrics").GetProperty("distilled").GetProperty("retrieval_coco_text_to_image_R@5").GetDouble(),
            1e-12);
    }

    [Fact]
    public void FeaturesAreKeptAndRanksCanBeChosen()
    {
        string[] arguments = ["--teacher", _folder["student"], "--distilled", Model, "--dataset", "shapes", "--errors", "1"];
        Run(arguments);
        var all = File.ReadAllLines(_folder["run", "errors", "gaps_shapes_distilled_image_to_text.jsonl"]);
        var table = File.ReadAllText(_folder["run", "memory.csv"]);
        var (_, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["study", "memory", .. arguments, "--teacher-ranks", "6-20", "--run-dir", _folder["run"]]);
        Assert.Contains("images: computed before", error, StringComparison.Ordinal);
        Assert.Equal(table, File.ReadAllText(_folder["run", "memory.csv"]));
        var few = File.ReadAllLines(_folder["run", "errors", "gaps_shapes_distilled_image_to_text.jsonl"]);
        Assert.Equal(all.Where(line => JsonDocument.Parse(line).RootElement.GetProperty("teacher_rank").GetInt32() <= 20), few);
        Assert.NotEmpty(few);
        Assert.True(few.Length < all.Length);
    }

    [Theory]
    [InlineData("Say which students to compare with the teacher", "--teacher", Model)]
    [InlineData("COCO_DATA_ROOT (MS-COCO) is not set", "--distilled", Model, "--dataset", "coco")]
    [InlineData("--root is for one set that --dataset names alone", "--distilled", Model, "--dataset", "coco", "docci", "--root", "/tmp")]
    [InlineData("--dataset names shapes@retrieval twice", "--distilled", Model, "--dataset", "shapes", "shapes@retrieval")]
    [InlineData("--teacher-ranks must be two ranks such as 6-100", "--distilled", Model, "--teacher-ranks", "9-3")]
    [InlineData("--throughput-runs must be 0 or at least 4, not 2", "--distilled", Model, "--throughput-runs", "2")]
    [InlineData("COCO_DATA_ROOT (MS-COCO) is not set", "--distilled", Model, "--teacher", Model)]
    [InlineData("The retrieval set 'cocoo' is unknown", "--distilled", Model, "--dataset", "cocoo")]
    [InlineData("is neither a weight file nor a folder", "--distilled", "/nowhere")]
    public void MistakesAreOneSentence(string expected, params string[] arguments)
    {
        var (code, _, error) = ExternalProcess.Run(
            ExternalProcess.Regcache, ["study", "memory", .. arguments, "--run-dir", _folder["run"]], ("COCO_DATA_ROOT", null));
        Assert.Equal(2, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
    }

    private string Run(params string[] arguments)
    {
        var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["study", "memory", .. arguments, "--run-dir", _folder["run"]]);
        Assert.True(code == 0, error);
        return output;
    }
}
