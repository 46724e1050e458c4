using System.Diagnostics;
using Xunit;

namespace RegCache.Lab.Tests.Cli;

/// <summary>Ctrl-C, SIGTERM and kill -9 on real processes.</summary>
public sealed class InterruptionTests
{
    [Theory]
    [InlineData("INT", 130, "Stopped by Ctrl-C before the end")]
    [InlineData("TERM", 143, "Stopped by SIGTERM before the end")]
    public void ASignalStopsTheCommandWithOneSentence(string signal, int expectedCode, string expected)
    {
        using var process = ExternalProcess.StartTestCommand(["test", "wait"]);
        process.WaitForOutput("ready");
        process.Signal(signal);
        Assert.Equal(expectedCode, process.WaitForExit());
        Assert.Contains(expected, process.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", process.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void ASecondSignalEndsACommandThatDoesNotListen()
    {
        using var process = ExternalProcess.StartTestCommand(["test", "deaf"]);
        process.WaitForOutput("ready");
        process.Signal("INT");
        process.WaitForOutput("asked");
        process.Signal("INT");
        Assert.Equal(130, process.WaitForExit());
        Assert.Contains("Stopped by Ctrl-C", process.Error, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void ACommandThatDoesNotListenEndsAfterTheGracePeriod()
    {
        using var process = ExternalProcess.StartTestCommand(["test", "deaf"]);
        process.WaitForOutput("ready");
        var clock = Stopwatch.StartNew();
        process.Signal("INT");
        Assert.Equal(130, process.WaitForExit());
        Assert.InRange(clock.Elapsed.TotalSeconds, 5, 60);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void ARunThatIsKilledAgainAndAgainEndsWithTheSameNumber()
    {
        using var folder = new TemporaryFolder();
        var expected = RunToTheEnd(folder["whole"]);

        var random = new Random(20);
        for (var kills = 0; kills < 6; kills++)
        {
            using var process = Start(folder["killed"]);
            process.WaitForOutput("from ");
            // However slow the machine is, there is a checkpoint to go on from.
            Assert.True(SpinWait.SpinUntil(() => File.Exists(folder["killed", "stage1.partial.json"]), TimeSpan.FromMinutes(1)));
            Thread.Sleep(random.Next(100));
            process.Signal("KILL");
            process.WaitForExit();
        }

        using (var last = Start(folder["killed"]))
        {
            Assert.Equal(0, last.WaitForExit());
            Assert.DoesNotContain("from 0\n", last.Output, StringComparison.Ordinal);
            Assert.Equal(expected, last.Output.Split("sum ")[1]);
        }

        Assert.DoesNotContain(Directory.EnumerateFiles(folder["killed"]), path => path.EndsWith(".tmp", StringComparison.Ordinal));
        Assert.False(File.Exists(folder["killed", "stage1.partial.json"]));

        static string RunToTheEnd(string directory)
        {
            using var process = Start(directory);
            Assert.Equal(0, process.WaitForExit());
            return process.Output.Split("sum ")[1];
        }

        static ExternalProcess Start(string directory) => ExternalProcess.StartTestCommand(["test", "stage", "--run-dir", directory]);
    }

    [Fact]
    public void TwoRunsInOneRunDirectoryAreRefused()
    {
        using var folder = new TemporaryFolder();
        using var first = ExternalProcess.StartTestCommand(["test", "hold", "--run-dir", folder["run"]]);
        first.WaitForOutput("ready");

        using (var second = ExternalProcess.StartTestCommand(["test", "hold", "--run-dir", folder["run"]]))
        {
            Assert.Equal(2, second.WaitForExit());
            Assert.Contains("Another run is using the run directory", second.Error, StringComparison.Ordinal);
            Assert.Single(second.Error.TrimEnd('\n').Split('\n'));
        }

        first.Signal("KILL");
        first.WaitForExit();
        using var third = ExternalProcess.StartTestCommand(["test", "hold", "--run-dir", folder["run"]]);
        third.WaitForOutput("ready");
    }

    [Fact]
    public void ARunDirectoryThatCannotBeMadeIsRefused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["file"], "");
        using var process = ExternalProcess.StartTestCommand(["test", "hold", "--run-dir", folder["file", "run"]]);
        Assert.Equal(2, process.WaitForExit());
        Assert.Contains("cannot be used (--run-dir)", process.Error, StringComparison.Ordinal);
        Assert.Single(process.Error.TrimEnd('\n').Split('\n'));
    }
}
