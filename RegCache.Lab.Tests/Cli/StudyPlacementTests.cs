using RegCache.Lab.Placement;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Tests.Cli;

/// <summary>`regcache study placement` as its users call it: a small grid that is trained, measured, and measured again.</summary>
[Trait("Category", "Slow")]
public sealed class StudyPlacementTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void AGridIsTrainedOnceAndCompared()
    {
        File.WriteAllText(
            _folder["tiny.json"],
            """
            {
              "dataset": "shapes", "train_num_samples": 64, "val_num_samples": 96, "input_size": 64, "patch_size": 16,
              "embed_dim": 24, "num_heads": 3, "depth": 3, "epochs": 1, "warmup_epochs": 0, "batch_size": 16, "opt": "adamw"
            }
            """);
        string[] arguments =
        [
            "study", "placement", "--config", _folder["tiny.json"], "--cls_pos", "0,2", "--reg-pos", "0,1", "--num_reg", "0,2", "--run-dir", _folder["run"], "--norms", "8",
        ];
        var (code, planned, error) = ExternalProcess.Run(ExternalProcess.Regcache, [.. arguments, "--dry-run"]);
        Assert.True(code == 0, error);
        Assert.Equal(6, planned.Split('\n').Count(line => line.StartsWith("would train", StringComparison.Ordinal)));
        Assert.False(Directory.Exists(_folder["run"]));

        var rows = Rows(arguments);
        Assert.Equal(
            [(0, 0, 0), (2, 0, 0), (0, 2, 0), (0, 2, 1), (2, 2, 0), (2, 2, 1)],
            rows.Select(row => (row.ClassBlock, row.Registers, row.RegisterBlock)));
        Assert.All(rows, row => Assert.Equal(96, row.Images));
        Assert.All(rows, row => Assert.True(row.ImagesPerSecond > 0 && row.NormRatio >= 1));

        // Later tokens cost less, registers more.
        Assert.True(rows[1].GigaMacs < rows[0].GigaMacs && rows[0].GigaMacs < rows[3].GigaMacs && rows[3].GigaMacs < rows[2].GigaMacs);
        Assert.Equal(1, rows[0].MacsRatio);
        Assert.True(File.Exists(_folder["run", "pareto.svg"]));

        // What is trained is taken again; a trained model beside the grid is measured, too.
        var written = File.GetLastWriteTimeUtc(_folder["run", "cls2_reg1_n2_seed0", "checkpoints"]);
        var again = Rows([.. arguments, _folder["run", "cls2_reg1_n2_seed0", "model"]]);
        Assert.Equal(written, File.GetLastWriteTimeUtc(_folder["run", "cls2_reg1_n2_seed0", "checkpoints"]));
        Assert.Equal(rows.Select(row => (row.Top1, row.Loss)), again.Take(6).Select(row => (row.Top1, row.Loss)));
        Assert.Equal((again[5].Top1, again[5].Loss, (long?)null), (again[6].Top1, again[6].Loss, again[6].Seed));
    }

    [Theory]
    [InlineData("There is nothing to compare")]
    [InlineData("give --data SET", "nothing.safetensors")]
    [InlineData("--cls-pos must be a whole number", "--cls-pos", "0,x")]
    public void MistakesAreOneSentence(string expected, params string[] arguments)
    {
        var (code, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["study", "placement", "--run-dir", _folder["run"], .. arguments]);
        Assert.Equal(2, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["run"]));
    }

    private List<PlacementRow> Rows(IEnumerable<string> arguments)
    {
        var (code, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, arguments);
        Assert.True(code == 0, error);
        return [.. CsvTable.Read<PlacementRow>(_folder["run", "placement.csv"])];
    }
}
