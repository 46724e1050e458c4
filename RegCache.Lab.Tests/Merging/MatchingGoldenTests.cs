using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Merging;
using TorchSharp;

namespace RegCache.Lab.Tests.Merging;

[Trait("Category", "Golden")]
public sealed class MatchingGoldenTests : IDisposable
{
    private const double Tolerance = 1e-5;

    private readonly Dictionary<string, torch.Tensor> _golden = GoldenTensors.Load("token-merging", "matching.safetensors");
    private readonly DisposeScope _scope = torch.NewDisposeScope();

    public static TheoryData<string> Cases() => [.. Described().Select(entry => entry.Name)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void MatchesTheReference(string name)
    {
        var settings = Described().First(entry => entry.Name == name);
        torch.Tensor Of(string part) => _golden[$"{name}/{part}"];
        var (x, size) = (Of("x"), Of("size"));
        var merge = BipartiteMatching.Match(Of("metric"), settings.Count, settings.Protected);
        if (_golden.ContainsKey($"{name}/no_op"))
        {
            Assert.Null(merge);
            return;
        }

        Assert.NotNull(merge);
        var length = x.shape[1];
        var output = merge.Apply(Stream(x, settings.Protected) with { Sizes = size, Sources = Identity(x) });

        // Upstream leaves the sources that stay in the order of similarity when nothing is protected.
        var order = _golden.TryGetValue($"{name}/unm_idx", out var unmerged) && settings.Protected == 0
            ? torch.cat([unmerged.argsort(1).argsort(1), Range(x, unmerged.shape[1], output.Length)], 1)
            : Range(x, 0, output.Length);
        torch.Tensor Ordered(torch.Tensor rows) => rows.gather(1, order.unsqueeze(-1).expand(-1, -1, rows.shape[2]));

        GoldenTensors.AssertClose(Of("wavg_x"), Ordered(output.Tokens), Tolerance);
        AssertEqual(Of("wavg_size"), Ordered(output.Sizes!));
        AssertEqual(Of("source"), Ordered(output.Sources!));
        if (unmerged is null)
        {
            return;
        }

        AssertEqual(Of("src_idx") * 2, merge.Merged);
        AssertEqual((Of("dst_idx") * 2) + 1, merge.Kept.gather(1, merge.Targets));
        AssertEqual(unmerged.sort(1).Item1 * 2, merge.Kept.masked_select(merge.Kept.remainder(2).eq(0)).view(unmerged.shape));
        GoldenTensors.AssertClose(Of("merged_sum"), Ordered(merge.Sum(x)), Tolerance);
        GoldenTensors.AssertClose(Of("merged_mean"), Ordered(Mean(merge, x)), Tolerance);
        var plain = merge.Apply(Stream(x, settings.Protected));
        GoldenTensors.AssertClose(Of("wavg_x_size_none"), Ordered(plain.Tokens), Tolerance);
        AssertEqual(Of("wavg_size_size_none"), Ordered(plain.Sizes!));
    }

    [Fact]
    public void TwoStepsCarrySizesAndSourcesOn()
    {
        var x = _golden["two_steps/x"];
        var stream = Stream(x, 1) with { Sources = Identity(x) };
        for (var step = 1; _golden.TryGetValue($"two_steps/metric{step}", out var metric); step++)
        {
            var wanted = _golden[$"two_steps/x_after{step}"];
            stream = BipartiteMatching.Match(metric, (int)(stream.Length - wanted.shape[1]), 1)!.Apply(stream);
            GoldenTensors.AssertClose(wanted, stream.Tokens, Tolerance);
            AssertEqual(_golden[$"two_steps/size_after{step}"], stream.Sizes!);
            AssertEqual(_golden[$"two_steps/source_after{step}"], stream.Sources!);
        }
    }

    [Fact]
    public void RandomSetsMergeIntoTheNearest()
    {
        var merge = NearestMatching.Match(_golden["kth/metric"], _golden["random/a_idx"], _golden["random/b_idx"]);
        var x = _golden["kth/x"];
        AssertEqual(_golden["random/dst_idx"], merge.Targets);
        GoldenTensors.AssertClose(_golden["random/merged_mean"], Mean(merge, x), Tolerance);
    }

    [Fact]
    public void SchedulesMatch()
    {
        var seen = 0;
        foreach (var (name, wanted) in _golden.Where(pair => pair.Key.StartsWith("parse_r/", StringComparison.Ordinal) && !pair.Key.Contains("list")))
        {
            var parts = name["parse_r/".Length..].Split('_');
            var counts = MergeSchedule.Parse($"{parts[1]}:{parts[2]}").Counts(int.Parse(parts[0]));
            Assert.True(wanted.data<long>().ToArray().Select(count => (int)count).SequenceEqual(counts), $"{name}: {counts}");
            seen++;
        }

        Assert.NotEqual(0, seen);
        var padded = _golden["parse_r/list_short"].data<long>().ToArray().Select(count => (int)count).ToArray();
        var list = padded[..(Array.FindLastIndex(padded, count => count != 0) + 1)];
        Assert.Equal(padded, MergeSchedule.PerBlock(list).Counts(padded.Length));
        Assert.Throws<UserException>(() => MergeSchedule.PerBlock(padded).Counts(padded.Length - 1));
    }

    public void Dispose() => _scope.Dispose();

    internal static void AssertEqual(torch.Tensor expected, torch.Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.True(expected.to(actual.dtype).eq(actual).all().item<bool>(), $"expected {expected}, got {actual}");
    }

    private static torch.Tensor Mean(TokenMerge merge, torch.Tensor x) => merge.Sum(x) / merge.Sum(torch.ones_like(x));

    private static TokenBatch Stream(torch.Tensor tokens, int protectedTokens) =>
        new(tokens, new(protectedTokens, 0, 1, (int)tokens.shape[1] - protectedTokens));

    private static torch.Tensor Identity(torch.Tensor tokens) => torch.eye(tokens.shape[1]).expand(tokens.shape[0], -1, -1);

    private static torch.Tensor Range(torch.Tensor tokens, long first, long end) =>
        torch.arange(first, end, torch.ScalarType.Int64).expand(tokens.shape[0], -1);

    private static List<(string Name, int Count, int Protected)> Described()
    {
        using var file = WeightFile.Open(Goldens.Path("token-merging", "matching.safetensors"));
        return [.. JsonDocument.Parse(file.Metadata["cases"]).RootElement.EnumerateObject().Select(Describe)];
    }

    private static (string, int, int) Describe(JsonProperty entry)
    {
        int Flag(string name) => entry.Value.TryGetProperty(name, out var flag) && flag.GetBoolean() ? 1 : 0;
        var protectedTokens = entry.Value.TryGetProperty("prefix", out var prefix)
            ? prefix.GetInt32()
            : Flag("class_token") + Flag("distill_token");
        return (entry.Name, entry.Value.GetProperty("r").GetInt32(), protectedTokens);
    }
}
