using Xunit;

namespace RegCache.Lab.Tests.Build;

/// <summary>The script `lab`, as far as it can be seen without building the kit once more.</summary>
public sealed class LabScriptTests
{
    private static readonly string Lab = Path.Combine(Goldens.RepositoryRoot, "lab");
    private static readonly string Make = Path.Combine(Goldens.RepositoryRoot, "build", "make.sh");

    [Fact]
    public void WithoutWordsItNamesItsVerbs()
    {
        var (code, output, _) = ExternalProcess.Run(Lab, []);
        Assert.Equal(0, code);
        Assert.All(
            new[] { "setup", "build", "test", "demo", "notebooks", "jupyter", "bench", "bundle", "clean" },
            verb => Assert.Contains($"./lab {verb} ", output, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("torch")]
    [InlineData("--fast")]
    public void SetupRefusesWhatItDoesNotKnow(params string[] words)
    {
        var (code, output, error) = ExternalProcess.Run(Lab, ["setup", .. words]);
        Assert.Equal(2, code);
        Assert.Empty(output);
        Assert.StartsWith("error: ", error, StringComparison.Ordinal);
    }

    [Fact]
    public void TheClosingLineSumsOverTestAssemblies()
    {
        var (code, output, _) = Report(0, Counters(total: 10, executed: 9, passed: 9), Counters(total: 5, executed: 5, passed: 5));
        Assert.Equal("14 passed, 0 failed, 1 skipped\n", output);
        Assert.Equal(0, code);
    }

    [Fact]
    public void FailuresFailTheRun()
    {
        var (code, output, _) = Report(1, Counters(total: 10, executed: 10, passed: 8));
        Assert.Equal("8 passed, 2 failed\n", output);
        Assert.NotEqual(0, code);
    }

    [Fact]
    public void ACrashedRunIsAFailureEvenIfAllThatRanPassed()
    {
        var (code, output, error) = Report(134, Counters(total: 3, executed: 3, passed: 3));
        Assert.Equal("3 passed, 1 failed\n", output);
        Assert.Contains("exit code 134", error, StringComparison.Ordinal);
        Assert.NotEqual(0, code);
    }

    [Fact]
    public void ARunWithoutTestsIsAFailure()
    {
        var (code, output, error) = Report(0);
        Assert.Equal("0 passed, 1 failed\n", output);
        Assert.Contains("No test ran", error, StringComparison.Ordinal);
        Assert.NotEqual(0, code);
    }

    private static (int ExitCode, string Output, string Error) Report(int status, params string[] results)
    {
        using var folder = new TemporaryFolder();
        for (var index = 0; index < results.Length; index++)
        {
            File.WriteAllText(folder[$"{index}.trx"], results[index]);
        }

        const string Script = "set -euo pipefail; say() { echo \"$*\" >&2; }; source \"$0\"; report_tests \"$1\" \"$2\"";
        return ExternalProcess.Run("bash", ["-c", Script, Make, folder.Root, $"{status}"]);
    }

    private static string Counters(int total, int executed, int passed) =>
        $"<TestRun>\n<ResultSummary outcome=\"Completed\">\n<Counters total=\"{total}\" executed=\"{executed}\" passed=\"{passed}\" "
        + $"failed=\"{executed - passed}\" error=\"0\" passedButRunAborted=\"0\" notExecuted=\"0\" />\n</ResultSummary>\n</TestRun>\n";
}
