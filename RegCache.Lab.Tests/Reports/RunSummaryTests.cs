using RegCache.Lab.Reports;

namespace RegCache.Lab.Tests.Reports;

/// <summary>What is read from the results of any command.</summary>
public sealed class RunSummaryTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void NumbersAreNamedByTheirPlaces()
    {
        var run = RunSummary.Read(Write("a", new
        {
            Setting = new { PrefixCount = 2, PrefixBlocks = "from_t" },
            Scores = new { Both = new { Images = 16, Correct = 8, Accuracy = 50.0 } },
            Rows = new[]
            {
                new { Model = "m", Method = "tome", R = "8", Top1 = 80.5, Protected = true },
                new { Model = "m", Method = "dfe", R = "8", Top1 = 81.5, Protected = false },
            },
        }));
        Assert.Equal("a", run.Name);
        Assert.Equal(
            [("setting.prefix_count", 2.0), ("scores.both.accuracy", 50.0), ("rows.tome protected.top1", 80.5), ("rows.dfe.top1", 81.5)],
            run.Numbers.Select(number => (number.Key, number.Value)));
        Assert.Equal(("regcache test", 7), (run.Provenance.CommandLine, run.Provenance.Seed));
    }

    [Fact]
    public void LongListsAreLeftOutAndNamed()
    {
        var run = RunSummary.Read(Write("a", new { Top1 = 1.5, Classes = Enumerable.Range(0, 100).Select(index => new { Name = $"{index}", Top1 = 2.5 }) }));
        Assert.Equal(["top1"], run.Numbers.Keys);
        Assert.Equal(["classes (100 rows)"], run.LeftOut);
    }

    [Fact]
    public void RunsOfOneKindAreComparable()
    {
        RunSummary[] runs = [.. new object[] { new { Top1 = 1.5 }, new { Loss = 2.5 }, new { Top1 = 2.5, Top5 = 3.5 } }.Select((result, index) => RunSummary.Read(Write($"{index}", result)))];
        Assert.Equal([["0", "2"], ["1"]], RunSummary.Comparable(runs).Select(group => group.Select(run => run.Name).ToArray()));
    }

    [Fact]
    public void TheFileItselfWillDo() => Assert.Equal("a", RunSummary.Read(Path.Combine(Write("a", new { Top1 = 1.5 }), "result.json")).Name);

    [Fact]
    public void MissingAndBrokenRunsAreOneSentence()
    {
        Directory.CreateDirectory(_folder["unfinished"]);
        Assert.Contains("has no result.json", Assert.Throws<UserException>(() => RunSummary.Read(_folder["unfinished"])).Message, StringComparison.Ordinal);
        Assert.Contains("There is no run directory", Assert.Throws<UserException>(() => RunSummary.Read(_folder["nowhere"])).Message, StringComparison.Ordinal);
        var cut = Write("cut", new { Top1 = 1.5 });
        File.WriteAllText(Path.Combine(cut, "result.json"), File.ReadAllText(Path.Combine(cut, "result.json"))[..60]);
        Assert.Contains("is not a result that this version of the kit can read", Assert.Throws<UserException>(() => RunSummary.Read(cut)).Message, StringComparison.Ordinal);
    }

    private string Write<T>(string name, T result)
        where T : notnull
    {
        var provenance = new Provenance(
            DateTimeOffset.UnixEpoch, "regcache test", 7, "a plan", new Dictionary<string, string> { ["m"] = "0123456789abcdef" }, new Dictionary<string, string>(), KitVersions.Current);
        ResultFile.Write(_folder[name, "result.json"], provenance, result);
        return _folder[name];
    }
}
