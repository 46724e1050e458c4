using Xunit;

namespace RegCache.Lab.Tests.Cli;

/// <summary>The command line seen from outside: sentences, streams and exit codes of real processes.</summary>
[Trait("Category", "Slow")]
public sealed class CommandLineTests
{
    [Fact]
    public void WithoutWordsItPrintsHelp()
    {
        var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, []);
        Assert.Equal(0, code);
        Assert.Contains("doctor", output, StringComparison.Ordinal);
        Assert.Empty(error);
    }

    [Fact]
    public void DoctorTellsWhatIsInstalled()
    {
        var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["doctor"]);
        Assert.True(code == 0, output + error);
        foreach (var expected in new[] { "TorchSharp", "runtime", "cores", "instructions", "libtorch ", "threads ", "in an operator", "CUDA", "SkiaSharp" })
        {
            Assert.Contains(expected, output, StringComparison.Ordinal);
        }

        Assert.EndsWith("No problem found.\n", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Unrecognized command or argument 'dance'", "dance")]
    [InlineData("Unrecognized command or argument '--dance'", "doctor", "--dance")]
    public void MistakesOfTheCommandLineAreOneSentence(string expected, params string[] arguments) =>
        AssertRefused(ExternalProcess.Run(ExternalProcess.Regcache, arguments), expected);

    [Theory]
    [InlineData("--batch must be a whole number from 1 to 65536, not '0'", "--batch", "0")]
    [InlineData("--batch must be a whole number from 1 to 65536, not 'many'", "--batch", "many")]
    [InlineData("--threads must be a whole number from 1 to 4096, not '1.5'", "--threads", "1.5")]
    [InlineData("--seed must be a whole number", "--seed", "-1")]
    [InlineData("--device must be cpu or cuda, not 'gpu'", "--device", "gpu")]
    [InlineData("--device must be cpu or cuda, not 'CPU'", "--device", "CPU")]
    [InlineData("--precision must be fp32 or bf16, not 'fp8'", "--precision", "fp8")]
    [InlineData("'awq' (--baseline, BASELINE) is unknown: it must be exactly one of naive, ptq4vit, repqvit", "--baseline", "awq")]
    [InlineData("'Naive' (--baseline, BASELINE) is unknown: it must be exactly one of naive, ptq4vit, repqvit", "--baseline", "Naive")]
    public void ImpossibleOptionsAreRefusedBeforeTheCommandRuns(string expected, params string[] options) =>
        AssertRefused(RunTestCommand(["test", "options", .. options]), expected);

    [Fact]
    public void AnUnknownBaselineInTheEnvironmentIsRefused() =>
        AssertRefused(RunTestCommand(["test", "options"], ("BASELINE", "gptq")), "naive, ptq4vit, repqvit");

    [Fact]
    public void AnOptionOverridesTheBaselineOfTheEnvironment()
    {
        var (code, output, _) = RunTestCommand(["test", "options", "--baseline", "repqvit"], ("BASELINE", "gptq"));
        Assert.Equal(0, code);
        Assert.Contains("Baseline = repqvit", output, StringComparison.Ordinal);
    }

    [Fact]
    public void OptionsAndEnvironmentReachTheCommand()
    {
        var (code, output, error) = RunTestCommand(
            [
                "test", "options", "--batch", "16", "--device", "cuda", "--threads", "2", "--seed", "7", "--precision", "bf16",
                "--run-dir", "runs/a b", "--verbose", "--dry-run", "--force", "--skip-bad-images", "--max-pixels", "1000000", "--truncated-images", "--train-sample", "/t", "--python", "python3",
            ],
            ("DATA_ROOT", "/d"), ("TRAIN_SAMPLE", "/ignored"), ("IMAGENET_VAL", ""), ("BASELINE", "ptq4vit"), ("PYTHON", "nowhere"));
        Assert.True(code == 0, error);
        foreach (var expected in new[]
        {
            "Device = Cuda", "BatchSize = 16", "Threads = 2", " Seed = 7", "Precision = Bf16", "RunDirectory = runs/a b", "Verbose = True", "DryRun = True",
            "Force = True", "SkipBadImages = True", "MaxPixels = 1000000", "TruncatedImages = True",
        })
        {
            Assert.Contains(expected, output, StringComparison.Ordinal);
        }

        Assert.Contains("DataRoot = /d, ImageNetValidation = /d/val, TrainSample = /t", output, StringComparison.Ordinal);
        Assert.Contains("Baseline = ptq4vit", output, StringComparison.Ordinal);
        Assert.Contains("--run-dir 'runs/a b'", output, StringComparison.Ordinal);
    }

    [Fact]
    public void DefaultsAndTheInvariantCulture()
    {
        var (code, output, error) = RunTestCommand(
            ["test", "options"], ("DATA_ROOT", null), ("BASELINE", null), ("LC_ALL", "de_DE.UTF-8"), ("LANG", "de_DE.UTF-8"));
        Assert.True(code == 0, error);
        foreach (var expected in new[]
        {
            "Device = Cpu", "BatchSize = 64", $"Threads = {Environment.ProcessorCount}", " Seed = 0", "Precision = Fp32", "RunDirectory = ,", "Verbose = False",
        })
        {
            Assert.Contains(expected, output, StringComparison.Ordinal);
        }

        Assert.Contains("Baseline = naive", output, StringComparison.Ordinal);
        Assert.Contains("Half = 0.5", output, StringComparison.Ordinal);
    }

    [Fact]
    public void TheChosenNumberOfThreadsStays()
    {
        var (code, output, error) = RunTestCommand(["test", "threads"], ("OMP_NUM_THREADS", null), ("MKL_NUM_THREADS", null));
        Assert.True(code == 0, error);
        Assert.Equal("Threads = 1, 16\n", output);
    }

    [Theory]
    [InlineData("user", "The file a.safetensors is cut off.")]
    [InlineData("memory", "There is not enough memory: give a smaller --batch.")]
    [InlineData("device-memory", "There is not enough memory: give a smaller --batch.")]
    [InlineData("missing", "A native library is missing (Unable to load libTorchSharpBridge): run './lab setup'")]
    [InlineData("type", "It cannot be.")]
    [InlineData("access", "A file cannot be read or written: permission is denied")]
    [InlineData("aggregate", "One of many.")]
    public void WhatTheUserCanMendIsOneSentence(string how, string expected) =>
        AssertRefused(RunTestCommand(["test", "fail", how]), expected);

    [Theory]
    [InlineData("state", "InvalidOperationException: An inner state")]
    [InlineData("cancelled", "OperationCanceledException: nobody asked")]
    public void AnUnexpectedErrorIsOneSentenceAndExitCodeOne(string how, string expected)
    {
        var (code, _, error) = RunTestCommand(["test", "fail", how]);
        Assert.Equal(1, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Contains("run it again with --verbose", error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd('\n').Split('\n'));
    }

    [Theory]
    [InlineData("state", 1, "   at ")]
    [InlineData("user", 2, "inner cause")]
    public void VerboseShowsTheDetails(string how, int expectedCode, string expected)
    {
        var (code, _, error) = RunTestCommand(["test", "fail", how, "--verbose"]);
        Assert.Equal(expectedCode, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
    }

    [Fact]
    public void AFullDiskUnderStandardOutputIsToldAndNotACrash()
    {
        var (code, _, error) = ExternalProcess.Run("sh", ["-c", $"exec '{ExternalProcess.Regcache}' doctor > /dev/full"]);
        Assert.Equal(2, code);
        Assert.Contains("the disk is full", error, StringComparison.Ordinal);
    }

    private static (int ExitCode, string Output, string Error) RunTestCommand(
        IEnumerable<string> arguments, params (string Name, string? Value)[] environment)
    {
        using var process = ExternalProcess.StartTestCommand(arguments, environment);
        return (process.WaitForExit(), process.Output, process.Error);
    }

    private static void AssertRefused((int ExitCode, string Output, string Error) result, string expected)
    {
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected, result.Error, StringComparison.Ordinal);
        Assert.Single(result.Error.TrimEnd('\n').Split('\n'));
        Assert.Empty(result.Output);
    }
}
