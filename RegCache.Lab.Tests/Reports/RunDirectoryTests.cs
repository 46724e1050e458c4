using System.Text.Json;
using RegCache.Lab.Reports;
using Xunit;

namespace RegCache.Lab.Tests.Reports;

public sealed class RunDirectoryTests
{
    private static readonly Provenance Sample = new(
        new DateTimeOffset(2026, 5, 4, 3, 2, 1, TimeSpan.FromHours(2)), "regcache pipeline --seed 3", 3, "float up to block 5",
        new Dictionary<string, string> { ["open_clip_model.safetensors"] = "12ab" },
        new Dictionary<string, string> { ["TRAIN_SAMPLE"] = "34cd" },
        KitVersions.Current);

    [Fact]
    public void TheResultCarriesItsProvenance()
    {
        using var folder = new TemporaryFolder();
        using (var run = RunDirectory.Open(folder["runs", "a"], force: false, SilentProgress.Instance))
        {
            run.WriteResult(Sample, new Outcome(58.31, 4));
        }

        var (provenance, result) = ResultFile.Read<Outcome>(folder["runs", "a", "result.json"]);
        Assert.Equal(new Outcome(58.31, 4), result);
        Assert.Equal(Sample.Time, provenance.Time);
        Assert.Equal(Sample.Models, provenance.Models);
        Assert.Equal(KitVersions.Current, provenance.Versions);

        using var document = JsonDocument.Parse(File.ReadAllText(folder["runs", "a", "result.json"]));
        Assert.Equal(58.31, document.RootElement.GetProperty("result").GetProperty("search_accuracy").GetDouble());
        Assert.Equal("34cd", document.RootElement.GetProperty("provenance").GetProperty("data").GetProperty("TRAIN_SAMPLE").GetString());
    }

    [Fact]
    public void ModelsOfOneNameDoNotShareADirectory()
    {
        using var folder = new TemporaryFolder();
        var path = folder["runs", "clip"];
        string Claim(string owner) => RunDirectory.Claim(path, owner, SilentProgress.Instance);

        Assert.Equal(path, Claim("/a/clip/model.safetensors"));
        Assert.Equal($"{path}-2", Claim("/b/clip/model.safetensors"));
        Assert.Equal(path, Claim("/a/clip/model.safetensors"));
        Assert.Equal($"{path}-2", Claim("/b/clip/model.safetensors"));
        Assert.Equal($"{path}-3", Claim("/c/clip/model.safetensors"));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("{\"provenance\": null, \"result\": {\"search_accuracy\": 1, \"prefix\": 2}}")]
    [InlineData("null")]
    public void ADamagedResultIsRefused(string content)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["result.json"], content);
        var error = Assert.Throws<UserException>(() => ResultFile.Read<Outcome>(folder["result.json"]));
        Assert.Contains(folder["result.json"], error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OneRunAtATime()
    {
        using var folder = new TemporaryFolder();
        using (RunDirectory.Open(folder["run"], force: false, SilentProgress.Instance))
        {
            var error = Assert.Throws<UserException>(() => RunDirectory.Open(folder["run"], force: false, SilentProgress.Instance));
            Assert.StartsWith($"Another run is using the run directory {folder["run"]}", error.Message, StringComparison.Ordinal);
        }

        RunDirectory.Open(folder["run"], force: false, SilentProgress.Instance).Dispose();
    }

    [Fact]
    public void TheLogKeepsMessagesAndWorkOfEveryRun()
    {
        using var folder = new TemporaryFolder();
        var messages = new Messages();
        for (var round = 1; round <= 2; round++)
        {
            using var run = RunDirectory.Open(folder["run"], force: false, messages);
            run.Progress.Message($"round {round}");
            using var work = run.Progress.Start("search", 10, "images");
            work.Report(10);
        }

        Assert.Equal(["round 1", "round 2"], messages.Texts);
        var lines = File.ReadAllLines(folder["run", "run.log"]);
        Assert.Equal(6, lines.Length);
        Assert.EndsWith("round 2", lines[3], StringComparison.Ordinal);
        Assert.Contains("search: 10 of 10 images after", lines[5], StringComparison.Ordinal);
        Assert.All(lines, line => Assert.True(DateTimeOffset.TryParse(line.Split(' ')[0], out _), line));
    }

    [Fact]
    public void LeftoversOfKilledRunsAreRemoved()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder[".stage1.json.123-1.tmp"], "{");
        File.WriteAllText(folder["mine.tmp"], "x");
        RunDirectory.Open(folder.Root, force: false, SilentProgress.Instance).Dispose();
        Assert.False(File.Exists(folder[".stage1.json.123-1.tmp"]));
        Assert.True(File.Exists(folder["mine.tmp"]));
    }

    [Fact]
    public void AFolderThatCannotBeIsRefused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["file"], "");
        foreach (var path in new[] { folder["file"], folder["file", "run"] })
        {
            var error = Assert.Throws<UserException>(() => RunDirectory.Open(path, force: false, SilentProgress.Instance));
            Assert.Contains($"The run directory {path} cannot be used", error.Message, StringComparison.Ordinal);
        }
    }

    [SmallDiskFact]
    public void AFullDiskStopsTheRunWithoutAResult()
    {
        using var disk = SmallDisk.Mount(kilobytes: 64);
        using var run = RunDirectory.Open(disk["run"], force: false, SilentProgress.Instance);
        var key = StageKey.Of(new { A = 1 });
        run.Stages.Save("stage1", key, new Outcome(1, 2));
        var error = Assert.Throws<UserException>(() => run.Stages.Save("stage1", key, new string('x', 1_000_000)));
        Assert.Contains("the disk is full", error.Message, StringComparison.Ordinal);
        Assert.True(run.Stages.TryLoad<Outcome>("stage1", key, out var kept));
        Assert.Equal(new Outcome(1, 2), kept);
    }

    private sealed record Outcome(double SearchAccuracy, int Prefix);
}
