using System.Diagnostics;
using System.Text.Json;
using RegCache.Lab.Distributed;
using RegCache.Lab.Placement;
using RegCache.Lab.Tests.Data.Retrieval;
using RegCache.Lab.Tests.Reports;

namespace RegCache.Lab.Tests.Distributed;

/// <summary>Real processes, started by mpirun.</summary>
public sealed class MpiTests : IDisposable
{
    // mpirun refuses root, in whose name containers run, unless both variables agree.
    private static readonly (string Name, string? Value)[] _root = [("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")];

    private readonly TemporaryFolder _folder = new();

    private static string Demo => Path.Combine(Goldens.RepositoryRoot, "models", "shapes-clip");

    public void Dispose() => _folder.Dispose();

    [MpiTheory]
    [InlineData(2, "gathered 1 rows, sum 18, halves 8, flag True, texts process 0|process 1")]
    [InlineData(4, "gathered 6 rows, sum 60, halves 16, flag True, texts process 0|process 1|process 2|process 3")]
    [Trait("Category", "Slow")]
    public void ProcessesOfMpiTrainAsOneDoes(int processes, string operations)
    {
        // One of each command.
        string[] trainings = ["clip", "finetune", "distill", "vit", "lm, drawn boundaries", "shapes-clip"];
        var (code, output, error) = Run(processes, ["test", "together", .. trainings]);
        Assert.True(code == 0, output + error);
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(operations, lines[0]);
        Assert.Equal(trainings, lines.Skip(1).Select(line => line.Split(": ")[0]));
        Assert.All(lines.Skip(1), line => Assert.InRange(double.Parse(line.Split(": ")[1].Split(" in ")[0]), 0, 1e-5));
        Assert.Contains($"{processes} processes, {processes} of them on", error, StringComparison.Ordinal);
    }

    [MpiTheory]
    [InlineData("fails", "ends the job: The shard 7.tar does not exist.")]
    [InlineData("dies", "rank 1 ")]
    [Trait("Category", "Slow")]
    public void AProcessThatIsLostEndsTheJobAndIsNamed(string how, string named)
    {
        var clock = Stopwatch.StartNew();
        var (code, output, error) = Run(2, ["test", "lost", how]);
        Assert.NotEqual(0, code);
        Assert.Contains(named, output + error, StringComparison.Ordinal);
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(30));
    }

    [MpiFact]
    [Trait("Category", "Slow")]
    public void DataThatOneProcessLacksEndsTheJobWithASentence()
    {
        const string without = "[ $OMPI_COMM_WORLD_RANK = 0 ] || set -- \"${@/#shapes/missing.tar}\"; exec \"$@\"";
        var (code, _, error) = ExternalProcess.Run(
            "mpirun", ["--oversubscribe", "--bind-to", "none", "-np", "2", "bash", "-c", without, "bash", ExternalProcess.Regcache, .. TrainWords(_folder["lacking"], "8")], _root);
        Assert.NotEqual(0, code);
        Assert.Contains("Process 1 of 2 on", error, StringComparison.Ordinal);
        Assert.Contains("ends the job: `train_data`: missing.tar does not exist", error, StringComparison.Ordinal);
    }

    [SmallDiskFact]
    [Trait("Category", "Slow")]
    public void AFullDiskEndsTheJobWithASentence()
    {
        if (MpiFactAttribute.Reason is not null)
        {
            return;
        }

        using var disk = SmallDisk.Mount(kilobytes: 512);
        var (code, _, error) = RunKit(2, TrainWords(disk["run"], "8"));
        Assert.NotEqual(0, code);
        Assert.Equal(1, error.Split("the disk is full").Length - 1);
        Assert.Empty(Directory.GetFiles(disk["run"], "*.tmp", SearchOption.AllDirectories));
    }

    [MpiFact]
    [Trait("Category", "Slow")]
    public void ACommandOfWhichAProcessIsToldToStopGoesOnWithAnotherNumberOfProcesses()
    {
        var alone = Train(1, "alone", "16", 0);
        var before = Train(2, "shared", "8", stopAfter: 6);
        Assert.NotEqual(0, before.Code);
        Assert.False(Directory.Exists(_folder["shared", "model"]));
        var after = Train(4, "shared", "4", 0);
        Assert.True(alone.Code == 0 && after.Code == 0, alone.Error + after.Error);
        Assert.Contains("The training goes on after step", after.Error, StringComparison.Ordinal);
        Assert.Equal(Metrics("alone"), Metrics("shared"));
        Assert.Empty(Directory.GetFiles(_folder["shared"], "*.tmp", SearchOption.AllDirectories));
    }

    [MpiFact]
    [Trait("Category", "Slow")]
    public void RetrievalGivesTheFilesOfOneProcess()
    {
        RetrievalLayouts.All["coco"](_folder["data"], 24);
        string[] Words(string run) =>
        [
            "eval", "retrieval", "--dataset", "coco", "--root", _folder["data"], "--model", Path.Combine(Goldens.RepositoryRoot, "models", "shapes-clip"), "--bits", "6", "--merging", "tome", "--r", "4",
            "--batch", "5", "--threads", "1", "--run-dir", _folder[run],
        ];
        var (code, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, Words("alone"));
        var shared = RunKit(3, Words("shared"));
        Assert.True(code == 0 && shared.ExitCode == 0, error + shared.Error);
        Assert.Equal(File.ReadAllText(_folder["alone", "retrieval.csv"]), File.ReadAllText(_folder["shared", "retrieval.csv"]));
        Assert.DoesNotContain((char)27, shared.Output);
    }

    [MpiFact]
    [Trait("Category", "Slow")]
    public void ASearchAndAnEvaluationGiveTheFilesOfOneProcess()
    {
        string[] common =
        [
            "--model", Demo, "--prompts", Path.Combine(Demo, "prompts.json"), "--imagenet-val", "shapes@test:16", "--calib", "shapes@calibration:16", "--batch", "5", "--threads", "1",
        ];
        string[] search =
        [
            "search", .. common, "--train-sample", "shapes@validation:16", "--baseline", "ptq4vit", "--bits", "5", "--calib-size", "4", "--search-candidates", "8", "--topn", "5",
            "--max-prefix", "1", "--max-delete", "1", "--finalists", "1",
        ];
        string[] evaluation = ["eval", "classification", .. common, "--act-mode", "static", "--bits", "6", "--calib-size", "16", "--merging", "tome", "--r", "4"];

        // What a run leaves, without what tells when and where it ran.
        Dictionary<string, string> Files(string run) => Directory.GetFiles(_folder[run], "*", SearchOption.AllDirectories)
            .Where(file => Path.GetFileName(file) is not ("run.log" or ".lock"))
            .ToDictionary(file => Path.GetRelativePath(_folder[run], file), file => Path.GetFileName(file) == "result.json" ? Result(file) : Convert.ToHexString(File.ReadAllBytes(file)));

        string Compute(int processes, string run, string[] words)
        {
            words = [.. words, "--run-dir", _folder[run]];
            var (code, output, error) = processes == 1 ? ExternalProcess.Run(ExternalProcess.Regcache, words) : RunKit(processes, words);
            Assert.True(code == 0, output + error);
            return error;
        }

        foreach (var (name, words) in new[] { ("search", search), ("evaluation", evaluation) })
        {
            foreach (var processes in new[] { 1, 2, 4 })
            {
                Compute(processes, $"{name}{processes}", words);
                Assert.Equal(Files($"{name}1"), Files($"{name}{processes}"));
            }
        }

        // What one process has calibrated others use.
        File.Delete(_folder["search1", "stage5.json"]);
        Assert.Contains("calibration used again", Compute(2, "search1", search), StringComparison.Ordinal);
        Assert.Equal(Files("search2"), Files("search1"));
    }

    [MpiFact]
    [Trait("Category", "Slow")]
    public void ClassifiersAndLanguageModelsAreMeasuredAsByOneProcess()
    {
        using (var classifier = DynamicVit.Create(new() { ImageSize = (64, 64), PatchSize = (16, 16), Classes = 48, Width = 24, Depth = 2, Heads = 2 }, seed: 2))
        {
            classifier.Save(_folder["vit"]);
        }

        File.WriteAllText(_folder["text"], string.Concat(Enumerable.Repeat("the small brown fox sleeps over there ", 60)));
        string[] lm =
        [
            "train", "lm", "--data", _folder["text"], "--run-dir", _folder["lm"], "--boundaries_type", "whitespaces", "--d-model", "16", "--n-head", "2", "--d-head", "8", "--d-inner", "32",
            "--model-config", "[1, (1,), 1]", "--tgt-len", "32", "--batch-size", "4", "--max-step", "2", "--eval-tgt-len", "16", "--eval-total-len", "32", "--threads", "1",
        ];
        var trained = ExternalProcess.Run(ExternalProcess.Regcache, lm);
        Assert.True(trained.ExitCode == 0, trained.Error);

        string[] ofClassifier = ["eval", "vit", "--model", _folder["vit"], "--data", "shapes@test:23", "--batch", "4", "--threads", "1", "--run-dir"];
        string[] ofText = ["eval", "lm", "--model", _folder["lm", "model"], "--data", _folder["text"], "--batch-size", "2", "--eval-tgt-len", "16", "--eval-total-len", "32", "--threads", "1", "--csv"];

        // The last column is the speed.
        string Measured(int processes, string run)
        {
            string[][] both = [[.. ofClassifier, _folder[run]], [.. ofText, _folder[run + ".csv"]]];
            foreach (var words in both)
            {
                var (code, _, error) = processes == 1 ? ExternalProcess.Run(ExternalProcess.Regcache, words) : RunKit(processes, words);
                Assert.True(code == 0, error);
            }

            return Result(_folder[run, "result.json"]) + string.Join('\n', File.ReadLines(_folder[run + ".csv"]).Select(line => line[..line.LastIndexOf(',')]));
        }

        Assert.Equal(Measured(1, "alone"), Measured(3, "shared"));
    }

    [MpiFact]
    [Trait("Category", "Slow")]
    public void WhatDoesNotFitIsToldOnceAndDoctorLooksAtTheProcesses()
    {
        var (code, _, error) = RunKit(2, ["demo"]);
        Assert.Equal(2, code);
        Assert.Equal(1, error.Split("`regcache demo` runs in one process, but 2 were started").Length - 1);

        var (healthy, output, _) = RunKit(2, ["doctor", "--distributed"]);
        Assert.True(healthy == 0, output);
        Assert.Contains("process 1", output, StringComparison.Ordinal);
        Assert.Contains("GB/s", output, StringComparison.Ordinal);
        Assert.Contains("ms apart", output, StringComparison.Ordinal);
    }

    [Fact]
    public void OneProcessDoesNotLoadMpi()
    {
        Assert.Equal(1, Processes.Launched);
        Assert.Same(SingleProcess.Instance, Processes.Current);
        using var process = ExternalProcess.StartTestCommand(["test", "wait"]);
        process.WaitForOutput("ready");
        var maps = File.ReadAllText($"/proc/{process.Id}/maps");
        process.Signal("TERM");
        process.WaitForExit();
        Assert.DoesNotContain("libmpi", maps, StringComparison.Ordinal);
        Assert.DoesNotContain("RegCacheMpi", maps, StringComparison.Ordinal);
    }

    private (int Code, string Error) Train(int processes, string run, string batch, int stopAfter)
    {
        var words = TrainWords(_folder[run], batch);
        if (stopAfter == 0)
        {
            var (code, _, error) = processes == 1 ? ExternalProcess.Run(ExternalProcess.Regcache, words) : RunKit(processes, words);
            return (code, error);
        }

        using var job = ExternalProcess.Start("mpirun", Words(processes, words), _root);
        while (!job.HasExited && !File.Exists(_folder[run, "checkpoints", $"step-{stopAfter:D9}.safetensors"]))
        {
            Thread.Sleep(10);
        }

        // One process is asked, and all stop at the same step.
        var (_, children, _) = ExternalProcess.Run("pgrep", ["-P", $"{job.Id}"]);
        ExternalProcess.Run("kill", ["-s", "TERM", children.Split('\n')[0]]);
        return (job.WaitForExit(), job.Error);
    }

    private static string[] TrainWords(string run, string batch) =>
    [
        "train", "clip", "--pretrained", Path.Combine(Goldens.RepositoryRoot, "models", "shapes-clip"), "--train-data", "shapes", "--train-num-samples", "64", "--val-data", "shapes",
        "--val-num-samples", "24", "--epochs", "5", "--batch-size", batch, "--lr", "1e-4", "--warmup", "2", "--save-every-n-steps", "2", "--log-every-n-steps", "1", "--threads", "1", "--run-dir", run,
    ];

    private Dictionary<string, double> Metrics(string run)
    {
        using var result = JsonDocument.Parse(File.ReadAllText(_folder[run, "result.json"]));
        return result.RootElement.GetProperty("result").GetProperty("metrics").EnumerateObject().ToDictionary(metric => metric.Name, metric => Math.Round(metric.Value.GetDouble(), 3));
    }

    private static string Result(string file)
    {
        using var result = JsonDocument.Parse(File.ReadAllText(file));
        return result.RootElement.GetProperty("result").GetRawText();
    }

    private static string[] Words(int processes, IEnumerable<string> words) =>
        ["--oversubscribe", "--bind-to", "none", "-np", $"{processes}", ExternalProcess.Regcache, .. words];

    private static (int ExitCode, string Output, string Error) Run(int processes, string[] words) => ExternalProcess.Run(
        "mpirun", Words(processes, words), [("DOTNET_STARTUP_HOOKS", typeof(ExternalProcess).Assembly.Location), .. _root]);

    private static (int ExitCode, string Output, string Error) RunKit(int processes, string[] words) => ExternalProcess.Run("mpirun", Words(processes, words), _root);
}

/// <summary>A test that needs MPI; where it is absent the test is skipped, unless all tools are asked for.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class MpiFactAttribute : FactAttribute
{
    public MpiFactAttribute() => Skip = Reason;

    public static string? Reason =>
        MpiGroup.Version is null && Environment.GetEnvironmentVariable("REGCACHE_ALL_TOOLS") is null ? "needs openmpi-bin and libopenmpi-dev" : null;
}

/// <summary>The same with several cases.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class MpiTheoryAttribute : TheoryAttribute
{
    public MpiTheoryAttribute() => Skip = MpiFactAttribute.Reason;
}
