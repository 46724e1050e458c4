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
    public void ProcessesThatCannotShareAStepAndMissingShardsAreRefused()
    {
        Directory.CreateDirectory(_folder["train"]);
        File.WriteAllText(_folder["train/000000.tar"], "no tar file");
        Assert.Contains("a step has 16 micro-batches, which 3 processes cannot share evenly", Run(["distill"], ("OMPI_COMM_WORLD_SIZE", "3"), ("DATA", _folder.Root)).Error, StringComparison.Ordinal);
        Directory.Delete(_folder["train"], recursive: true);
        Assert.Contains("has no shards: make them with regcache data make sharegpt4v", Run(["clip"], ("DATA", _folder.Root)).Error, StringComparison.Ordinal);
        Assert.Contains("there is no stage 'train'", Run(["train"]).Error, StringComparison.Ordinal);
    }

    // A stand-in for SLURM: srun tells its words, sets the variables of a step, and starts one task.
    [Theory]
    [InlineData("distill", 1, "--accum-freq 16", "")]
    [InlineData("distill", 16, "--accum-freq 1", "--mpi=pmix")]
    [InlineData("clip", 4, "--accum-freq 2", "--mpi=pmix")]
    [InlineData("finetune", 2, "--accum-freq 4", "--mpi=pmix")]
    [InlineData("study", 1, "study memory", "")]
    [InlineData("vit", 4, "--num_reg 4 --cls_pos 6 --reg_pos 3", "--mpi=pmix")]
    [InlineData("search", 1, "--bits W6A6", "")]
    public void JobsStartTheirCommandInEveryTask(string job, int tasks, string words, string launched)
    {
        foreach (var name in new[] { "train/000000.tar", "val/000000.tar" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder[name])!);
            File.WriteAllText(_folder[name], "no tar file");
        }

        WriteScript("srun", """echo "srun $*" >&2; while [[ "$1" == --* ]]; do shift; done; SLURM_STEP_NUM_TASKS=$SLURM_NTASKS SLURM_PROCID=0 exec "$@" """);
        WriteScript("kit", """echo "kit $*" """);
        var (code, output, error) = ExternalProcess.Run(
            "bash",
            [Path.Combine(Jobs, $"{job}.sbatch")],
            [
                ("PATH", $"{_folder.Root}:{Environment.GetEnvironmentVariable("PATH")}"), ("SLURM_NTASKS", $"{tasks}"), ("SLURM_CPUS_PER_TASK", "2"),
                ("SLURM_SUBMIT_DIR", Goldens.RepositoryRoot), ("SLURM_ARRAY_TASK_ID", "1"), ("REGCACHE", _folder["kit"]), ("DATA", _folder.Root), ("MODEL", "m.pt"), ("RUNS", _folder["runs"]),
            ]);
        Assert.True(code == 0, error);
        Assert.Contains(words, output, StringComparison.Ordinal);
        Assert.Contains($"--ntasks={tasks} --cpus-per-task=2 --kill-on-bad-exit=1 {launched}", error, StringComparison.Ordinal);
        Assert.Equal(launched.Length > 0, error.Contains("--mpi=", StringComparison.Ordinal));
    }

    private void WriteScript(string name, string content)
    {
        File.WriteAllText(_folder[name], $"#!/usr/bin/env bash\n{content}\n");
        ExternalProcess.Run("chmod", ["+x", _folder[name]]);
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
