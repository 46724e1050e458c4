using System.Text;
using RegCache.Lab.Reports;
using Xunit;

namespace RegCache.Lab.Tests.Reports;

public sealed class StageStoreTests
{
    private static readonly StageKey Key = StageKey.Of(new { Model = "abc", Bits = 8 });
    private static readonly Table Sample = new(
        7, "visual.transformer.resblocks.6.mlp.c_proj", [0.1, 1.0 / 3, double.Epsilon, double.MaxValue, double.NaN, -0.0], null);

    [Fact]
    public void AResultComesBackToTheBit()
    {
        using var folder = new TemporaryFolder();
        Store(folder).Save("stage1", Key, Sample);
        Assert.True(Store(folder).TryLoad<Table>("stage1", Key, out var loaded));
        Assert.Equal(Sample.Block, loaded.Block);
        Assert.Equal(Sample.Layer, loaded.Layer);
        Assert.Equal(Sample.Scores.Select(BitConverter.DoubleToInt64Bits), loaded.Scores.Select(BitConverter.DoubleToInt64Bits));
        Assert.Null(loaded.Note);
    }

    [Fact]
    public void AResultIsComputedOnce()
    {
        using var folder = new TemporaryFolder();
        var computed = 0;
        Sum Compute()
        {
            computed++;
            return new(7, 0.1 + 0.2);
        }

        var sums = Enumerable.Range(0, 3).Select(_ => Store(folder).GetOrCompute("stage1", Key, Compute)).ToList();
        Assert.Equal(1, computed);
        Assert.All(sums, sum => Assert.Equal(new Sum(7, 0.1 + 0.2), sum));
        Store(folder).GetOrCompute("stage1", StageKey.Of(new { Model = "abc", Bits = 4 }), Compute);
        Assert.Equal(2, computed);
    }

    [Fact]
    public void AnotherKeyIsNotUsed()
    {
        using var folder = new TemporaryFolder();
        var messages = new Messages();
        Store(folder).Save("stage1", Key, Sample);
        Assert.False(Store(folder, messages).TryLoad<Table>("stage1", StageKey.Of(new { Model = "abc", Bits = 4 }), out _));
        Assert.Contains("was made from other inputs", Assert.Single(messages.Texts), StringComparison.Ordinal);
    }

    [Fact]
    public void NothingThereIsNothingToTell()
    {
        using var folder = new TemporaryFolder();
        var messages = new Messages();
        Assert.False(Store(folder, messages).TryLoad<Table>("stage1", Key, out _));
        Assert.Empty(messages.Texts);
    }

    [Fact]
    public void ForceIgnoresWhatIsThere()
    {
        using var folder = new TemporaryFolder();
        Store(folder).Save("stage1", Key, Sample);
        Store(folder).Checkpoint<Table>("stage2", Key).Write(Sample);
        var forced = new StageStore(folder.Root, force: true, SilentProgress.Instance);
        Assert.False(forced.TryLoad<Table>("stage1", Key, out _));
        Assert.False(forced.Checkpoint<Table>("stage2", Key).TryLoad(out _));
    }

    [Fact]
    public void NoPartOfAFileIsEverTakenForAResult()
    {
        using var folder = new TemporaryFolder();
        var store = Store(folder);
        store.Save("stage1", Key, Sample);
        var whole = File.ReadAllBytes(store.PathOf("stage1"));
        for (var length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(store.PathOf("stage1"), whole[..length]);
            Assert.False(store.TryLoad<Table>("stage1", Key, out _), $"The first {length} of {whole.Length} bytes were accepted.");
        }
    }

    [Fact]
    public void NoChangedByteOfThePayloadIsAccepted()
    {
        using var folder = new TemporaryFolder();
        var store = Store(folder);
        store.Save("stage1", Key, Sample);
        var whole = File.ReadAllBytes(store.PathOf("stage1"));
        var payload = Encoding.UTF8.GetString(whole).LastIndexOf("\"payload\"", StringComparison.Ordinal);
        for (var position = payload; position < whole.Length; position++)
        {
            foreach (var value in new[] { (byte)(whole[position] ^ 1), (byte)'7', (byte)' ' })
            {
                var changed = (byte[])whole.Clone();
                changed[position] = value;
                File.WriteAllBytes(store.PathOf("stage1"), changed);
                // A change of white space between the values is none of the payload.
                Assert.True(
                    !store.TryLoad<Table>("stage1", Key, out var loaded) || Same(loaded),
                    $"Byte {position} changed to '{(char)value}' was accepted.");
            }
        }
    }

    [Theory]
    [InlineData("{\"format\": 2", "{\"format\": 1")]
    [InlineData("null", null)]
    [InlineData("[]", null)]
    [InlineData("\0\0\0\0", null)]
    public void OddFilesAreComputedAgainWithAMessage(string content, string? replaces)
    {
        using var folder = new TemporaryFolder();
        var messages = new Messages();
        var store = Store(folder, messages);
        store.Save("stage1", Key, Sample);
        var text = File.ReadAllText(store.PathOf("stage1")).Replace("{\n  \"format\"", "{\"format\"", StringComparison.Ordinal);
        File.WriteAllText(store.PathOf("stage1"), replaces is null ? content : text.Replace(replaces, content, StringComparison.Ordinal));
        Assert.False(store.TryLoad<Table>("stage1", Key, out _));
        Assert.Contains("is damaged or incomplete; it is computed again", Assert.Single(messages.Texts), StringComparison.Ordinal);
    }

    [Fact]
    public void AResultOfAnotherStageOrShapeIsNotUsed()
    {
        using var folder = new TemporaryFolder();
        var store = Store(folder);
        store.Save("stage1", Key, Sample);
        File.Copy(store.PathOf("stage1"), store.PathOf("stage2"));
        Assert.False(store.TryLoad<Table>("stage2", Key, out _));
        Assert.False(store.TryLoad<OtherTable>("stage1", Key, out _));
    }

    [Theory]
    [InlineData("../stage1")]
    [InlineData("")]
    [InlineData("a.b")]
    public void AStageNameIsAPlainName(string stage)
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<ArgumentException>(() => Store(folder).PathOf(stage));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(37)]
    [InlineData(99)]
    public void AStageThatStopsAnywhereEndsWithTheSameNumbers(int stopAt)
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<OperationCanceledException>(() => Compute(Store(folder), stopAt));
        var steps = 0;
        var resumed = Compute(Store(folder), stopAt: null, () => steps++);
        Assert.Equal(BitConverter.DoubleToInt64Bits(Compute(null, null).Value), BitConverter.DoubleToInt64Bits(resumed.Value));
        Assert.Equal(100 - stopAt, steps);
    }

    [Fact]
    public void ADamagedOrForeignCheckpointStartsFromTheBeginning()
    {
        using var folder = new TemporaryFolder();
        var messages = new Messages();
        var store = Store(folder, messages);
        store.Checkpoint<Sum>("stage1", Key).Write(new Sum(5, 2.5));
        Assert.False(store.Checkpoint<Sum>("stage1", StageKey.Of(new { Other = 1 })).TryLoad(out _));
        Assert.Empty(messages.Texts);

        var path = folder["stage1.partial.json"];
        File.WriteAllText(path, File.ReadAllText(path).Replace("2.5", "3.5", StringComparison.Ordinal));
        Assert.False(store.Checkpoint<Sum>("stage1", Key).TryLoad(out _));
        Assert.Contains("damaged; the stage starts from its beginning", Assert.Single(messages.Texts), StringComparison.Ordinal);
    }

    [Fact]
    public void SavingAStageDropsItsCheckpoint()
    {
        using var folder = new TemporaryFolder();
        var store = Store(folder);
        store.Checkpoint<Sum>("stage1", Key).Write(new Sum(5, 2.5));
        store.Save("stage1", Key, new Sum(6, 3));
        Assert.Equal(["stage1.json"], Directory.EnumerateFiles(folder.Root).Select(Path.GetFileName));
    }

    [Fact]
    public void ACheckpointIsWrittenOnlyWhenItsTimeHasCome()
    {
        using var folder = new TemporaryFolder();
        var patient = Store(folder).Checkpoint<Sum>("stage1", Key, TimeSpan.FromHours(1));
        patient.Offer(() => throw new InvalidOperationException("The state was made for nothing."));
        Assert.Empty(Directory.EnumerateFiles(folder.Root));

        Store(folder).Checkpoint<Sum>("stage1", Key, TimeSpan.Zero).Offer(() => new Sum(1, 1));
        Assert.Single(Directory.EnumerateFiles(folder.Root));
    }

    private static Sum Compute(StageStore? store, int? stopAt, Action? onStep = null)
    {
        var checkpoint = store?.Checkpoint<Sum>("stage1", Key, TimeSpan.Zero);
        var sum = checkpoint is not null && checkpoint.TryLoad(out var state) ? state : new Sum(0, 0);
        while (sum.Done < 100)
        {
            if (sum.Done == stopAt)
            {
                throw new OperationCanceledException();
            }

            onStep?.Invoke();
            sum = new Sum(sum.Done + 1, sum.Value + Math.Sqrt(sum.Done) / 3);
            checkpoint?.Offer(() => sum);
        }

        return sum;
    }

    private static bool Same(Table loaded) =>
        loaded.Block == Sample.Block && loaded.Layer == Sample.Layer && loaded.Note == Sample.Note
        && loaded.Scores.Select(BitConverter.DoubleToInt64Bits).SequenceEqual(Sample.Scores.Select(BitConverter.DoubleToInt64Bits));

    private static StageStore Store(TemporaryFolder folder, IWorkProgress? progress = null) =>
        new(folder.Root, force: false, progress ?? SilentProgress.Instance);

    private sealed record Table(int Block, string Layer, IReadOnlyList<double> Scores, string? Note);

    private sealed record OtherTable(int Block);

    private sealed record Sum(int Done, double Value);
}
