using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Tests.Evaluation;

public sealed class FeatureStoreTests : IDisposable
{
    private const int Rows = 10;
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void WhatWasComputedIsNotComputedAgain()
    {
        using var run = Open();
        var keys = Keys("a", "b");
        var first = new FeatureStore(run).GetOrCompute(keys, "features", Pass());
        var again = new FeatureStore(run).GetOrCompute(keys, "features", (_, _) => throw new InvalidOperationException("computed again"));
        AssertAre(first, 0, 1);
        AssertAre(again, 0, 1);
        var asked = new List<int>();
        new FeatureStore(run).GetOrCompute(Keys("a", "c"), "features", (wanted, row) =>
        {
            asked.AddRange(wanted);
            return Batches(wanted, row, stopAt: null);
        });
        Assert.Equal([1], asked);
        Assert.Equal(3, Directory.GetFiles(_folder["run", "features"]).Length);
    }

    [Fact]
    public void AKilledPassGoesOnAtItsLastPart()
    {
        var keys = Keys("a", "b");
        Stop(keys, stopAt: 6);
        var begin = -1;
        using var run = Open();
        AssertAre(new FeatureStore(run, TimeSpan.Zero).GetOrCompute(keys, "features", Pass(row => begin = row)), 0, 1);
        Assert.Equal(6, begin);
        Assert.Equal(2, Directory.GetFiles(_folder["run", "features"]).Length);
    }

    [Fact]
    public void PartsBesideTheWholeAreRemoved()
    {
        var keys = Keys("a");
        Stop(keys, stopAt: 6);
        var parts = Directory.GetFiles(_folder["run", "features"]).ToDictionary(path => path, File.ReadAllBytes);
        using var run = Open();
        new FeatureStore(run).GetOrCompute(keys, "features", Pass());
        // As a run leaves them that is killed between writing the whole and removing its parts.
        parts.ToList().ForEach(part => File.WriteAllBytes(part.Key, part.Value));
        AssertAre(new FeatureStore(run).GetOrCompute(keys, "features", (_, _) => throw new InvalidOperationException("computed again")), 0);
        Assert.Single(Directory.GetFiles(_folder["run", "features"]));
    }

    [Fact]
    public void PlansGoOnWhereAllOfThemAre()
    {
        Stop(Keys("a", "b"), stopAt: 6);
        Stop(Keys("c"), stopAt: 2, firstPlan: 2);
        var begin = -1;
        using var run = Open();
        AssertAre(new FeatureStore(run, TimeSpan.Zero).GetOrCompute(Keys("a", "b", "c"), "features", Pass(row => begin = row)), 0, 1, 2);
        Assert.Equal(2, begin);
    }

    [Fact]
    public void DamagedFilesAreComputedAgain()
    {
        var keys = Keys("a");
        Stop(keys, stopAt: 6);
        var parts = Directory.GetFiles(_folder["run", "features"]).Order().ToArray();
        Assert.Equal(3, parts.Length);
        Flip(parts[1]);
        var begin = -1;
        using var run = Open();
        AssertAre(new FeatureStore(run).GetOrCompute(keys, "features", Pass(row => begin = row)), 0);
        Assert.Equal(2, begin);

        Flip(Directory.GetFiles(_folder["run", "features"]).Single());
        AssertAre(new FeatureStore(run).GetOrCompute(keys, "features", Pass(row => begin = row)), 0);
        Assert.Equal(0, begin);
    }

    [Fact]
    public void ForceComputesAgain()
    {
        var keys = Keys("a");
        using (var run = Open())
        {
            new FeatureStore(run).GetOrCompute(keys, "features", Pass());
        }

        Stop(Keys("b"), stopAt: 4);
        using var forced = RunDirectory.Open(_folder["run"], force: true, SilentProgress.Instance);
        var begins = new List<int>();
        new FeatureStore(forced).GetOrCompute(Keys("a", "b"), "features", Pass(begins.Add));
        Assert.Equal([0], begins);
    }

    private static StageKey[] Keys(params string[] names) => [.. names.Select(name => StageKey.Of(new { name }))];

    private static Func<IReadOnlyList<int>, int, IEnumerable<FeatureBatch>> Pass(Action<int>? begins = null) => (wanted, row) =>
    {
        begins?.Invoke(row);
        return Batches(wanted, row, stopAt: null);
    };

    // Two rows a batch; row 3 cannot be read. The feature of a row tells the plan and the row.
    private static IEnumerable<FeatureBatch> Batches(IReadOnlyList<int> plans, int first, int? stopAt)
    {
        for (var row = first; row < Rows; row += 2)
        {
            if (row == stopAt)
            {
                throw new OperationCanceledException();
            }

            int[] rows = [.. new[] { row, row + 1 }.Where(one => one != 3)];
            yield return new(rows, row + 2, [.. plans.Select(plan => torch.tensor(rows.Select(one => new[] { 100f * plan, one }).SelectMany(pair => pair).ToArray(), [rows.Length, 2]))]);
        }
    }

    private static void AssertAre(IReadOnlyList<FeatureTable> tables, params int[] plans)
    {
        Assert.Equal(plans.Length, tables.Count);
        foreach (var (plan, table) in tables.Index())
        {
            int[] rows = [.. Enumerable.Range(0, Rows).Where(row => row != 3)];
            Assert.Equal(rows, table.Rows);
            Assert.Equal(rows.SelectMany(row => new[] { 100f * plan, row }), table.Features.data<float>().ToArray());
        }
    }

    private static void Flip(string path)
    {
        var bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 1;
        File.WriteAllBytes(path, bytes);
    }

    private void Stop(StageKey[] keys, int stopAt, int firstPlan = 0)
    {
        using var run = Open();
        Assert.Throws<OperationCanceledException>(
            () => new FeatureStore(run, TimeSpan.Zero).GetOrCompute(keys, "features", (wanted, row) => Batches([.. wanted.Select(plan => firstPlan + plan)], row, stopAt)));
    }

    private RunDirectory Open() => RunDirectory.Open(_folder["run"], force: false, SilentProgress.Instance);
}
