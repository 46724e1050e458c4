using Xunit;

namespace RegCache.Lab.Tests.Build;

/// <summary>The scripts for clusters in `jobs/`, as far as they can be seen without one.</summary>
public sealed class JobScriptTests : IDisposable
{
    private const string Model = "models/shapes-clip";
    private static readonly string Jobs = Path.Combine(Goldens.RepositoryRoot, "jobs");
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Scripts => [.. Directory.GetFiles(Jobs).Select(path => Path.GetFileName(path)).Order()];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Scripts))]
    public void EveryScriptIsShellThatParses(string script)
    {
        var (code, _, error) = ExternalProcess.Run("bash", ["-n", Path.Combine(Jobs, script)]);
        Assert.True(code == 0, error);
    }

    // The shards are empty files, so the command refuses them; whatever else it might refuse comes before.
    [Theory]
    [InlineData("distill", "The shard")]
    [InlineData("finetune", "The shard")]
    [InlineData("clip", "The shard")]
    [InlineData("study", "COCO_DATA_ROOT (MS-COCO) is not set", "--dataset", "coco")]
    public void EveryStageIsACommandLineThatTheKitTakes(string stage, string refusal, params string[] more)
    {
        foreach (var name in new[] { "train/000000.tar", "train/000001.tar", "val/000000.tar" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder[name])!);
            File.WriteAllText(_folder[name], "no tar file");
        }

        var (code, _, error) = Run([stage, .. more], ("DATA", _folder.Root));
        Assert.Equal(2, code);
        Assert.Contains(refusal, error, StringComparison.Ordinal);
        Assert.DoesNotContain("Unrecognized", error, StringComparison.Ordinal);
        Assert.Contains(stage == "study" ? "study memory" : $"train {stage}", error, StringComparison.Ordinal);
        if (stage != "study")
        {
            Assert.Contains("train/{000000..000001}.tar", error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void SeveralProcessesAndMissingShardsAreRefused()
    {
        Assert.Contains("4 processes were started, and one trains", Run(["distill"], ("OMPI_COMM_WORLD_SIZE", "4")).Error, StringComparison.Ordinal);
        Assert.Contains("has no shards: make them with regcache data make sharegpt4v", Run(["clip"], ("DATA", _folder.Root)).Error, StringComparison.Ordinal);
        Assert.Contains("there is no stage 'train'", Run(["train"]).Error, StringComparison.Ordinal);
    }

    private (int ExitCode, string Output, string Error) Run(string[] words, params (string Name, string? Value)[] variables) => ExternalProcess.Run(
        Path.Combine(Jobs, "stage.sh"),
        words,
        [
            ("REGCACHE", ExternalProcess.Regcache), ("MODEL", Path.Combine(Goldens.RepositoryRoot, Model)), ("DEVICE", "cpu"), ("RUNS", _folder["runs"]),
            ("STUDENT", Path.Combine(Goldens.RepositoryRoot, Model)), ("FINETUNED", Path.Combine(Goldens.RepositoryRoot, Model)), ("COCO_DATA_ROOT", null),
            .. variables,
        ]);
}
