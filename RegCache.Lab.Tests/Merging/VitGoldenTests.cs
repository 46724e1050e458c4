using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Merging;
using TorchSharp;

namespace RegCache.Lab.Tests.Merging;

[Trait("Category", "Golden")]
public sealed class VitGoldenTests(VitGolden golden) : IClassFixture<VitGolden>
{
    private const double LogitTolerance = 1e-3;
    private const double FeatureTolerance = 1e-4;

    public static TheoryData<string, bool> Settings()
    {
        var data = new TheoryData<string, bool>();
        foreach (var name in VitGolden.Metadata("tome_settings").EnumerateObject().Select(entry => $"tome_{entry.Name}")
            .Concat(VitGolden.Metadata("lgtm_settings").EnumerateObject().Select(entry => entry.Name)))
        {
            data.Add(name, true);
            data.Add(name, false);
        }

        return data;
    }

    [Fact]
    public void PlainModelMatches()
    {
        using var logits = golden.Model.Vision.Encode(golden.Input);
        GoldenTensors.AssertClose(golden["plain/logits"], logits, LogitTolerance);
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public void MergingMatches(string name, bool proportional)
    {
        var folder = $"{name}_{(proportional ? "prop" : "noprop")}";
        var tower = golden.Model.Vision;
        var plan = (Setting(name) with { ProportionalAttention = proportional, TrackSources = true })
            .ApplyTo(EncoderPlan.Plain(tower.Blocks.Count));
        using var scope = torch.NewDisposeScope();
        using var runner = new PlanRunner(tower);
        var states = new StateProbe();
        var stream = runner.Forward(golden.Input, plan, probe: states);

        GoldenTensors.AssertClose(golden[$"{folder}/logits"], tower.Project(stream), LogitTolerance);
        GoldenTensors.AssertClose(golden[$"{folder}/logits"], runner.Run(golden.Input, plan), LogitTolerance);
        Assert.Equal(golden[$"{folder}/tokens_after_block"].data<long>().ToArray(), states.After.Select(state => state.shape[1]));
        if (golden.Has($"{folder}/size"))
        {
            MatchingGoldenTests.AssertEqual(golden[$"{folder}/size"], stream.Sizes!);
            MatchingGoldenTests.AssertEqual(golden[$"{folder}/source"], stream.Sources!);
        }

        foreach (var state in golden.Names.Where(key => key.StartsWith($"{folder}/state_after_block", StringComparison.Ordinal)))
        {
            var parts = state[$"{folder}/state_after_block".Length..].Split("_image");
            var actual = states.After[int.Parse(parts[0])][int.Parse(parts[1])];
            GoldenTensors.AssertClose(golden[state], actual, FeatureTolerance);
        }
    }

    [Fact]
    public void DistillationTokenIsProtected()
    {
        var tower = golden.Distilled.Vision;
        foreach (var (folder, setting) in new[] { "tome_distilled", "lgtm_distilled" }.SelectMany(Described))
        {
            var plan = (setting with { TrackSources = true }).ApplyTo(EncoderPlan.Plain(tower.Blocks.Count));
            using var scope = torch.NewDisposeScope();
            using var runner = new PlanRunner(tower);
            var stream = runner.Forward(golden.Input, plan);
            GoldenTensors.AssertClose(golden[$"{folder}/logits_eval"], tower.Project(stream), LogitTolerance);
            if (golden.Has($"{folder}/size"))
            {
                MatchingGoldenTests.AssertEqual(golden[$"{folder}/size"], stream.Sizes!);
                MatchingGoldenTests.AssertEqual(golden[$"{folder}/source"], stream.Sources!);
            }
        }
    }

    [Fact]
    public void PoolingWeighsTokensBySize()
    {
        var tower = golden.Pooled.Vision;
        foreach (var (folder, setting) in Described("tome_pool"))
        {
            using var scope = torch.NewDisposeScope();
            using var runner = new PlanRunner(tower);
            var plan = (setting with { ProportionalAttention = false }).ApplyTo(EncoderPlan.Plain(tower.Blocks.Count));
            GoldenTensors.AssertClose(golden[$"{folder}/logits"], runner.Run(golden.Input, plan), LogitTolerance);
        }
    }

    [Fact]
    public void WindowsMatch()
    {
        var seen = 0;
        foreach (var name in golden.Names.Where(key => key.StartsWith("windows_", StringComparison.Ordinal) && key.EndsWith("/order", StringComparison.Ordinal)))
        {
            var sides = name["windows_".Length..name.IndexOf('/')].Split('x').Select(int.Parse).ToArray();
            var stream = new TokenBatch(torch.zeros(1, sides[0] * sides[1], 1), new(0, 0, sides[0], sides[1]));
            var (_, order) = WindowGrid.Of(stream)[0].sort(dim: 0, stable: true);
            MatchingGoldenTests.AssertEqual(golden[name], order);
            Assert.Equal(
                golden[name.Replace("/order", "/lengths")].data<long>().ToArray().Select(length => (int)length),
                WindowGrid.Lengths(sides[0], sides[1]));
            seen++;
        }

        Assert.NotEqual(0, seen);
    }

    // Folders such as tome_pool_r4 and lgtm_distilled_s1_g4_r5 say their settings in their names.
    private List<(string Folder, MergingSetting Setting)> Described(string prefix)
    {
        var folders = golden.Names.Where(key => key.StartsWith(prefix, StringComparison.Ordinal))
            .Select(key => key[..key.IndexOf('/')]).Distinct().ToList();
        Assert.NotEmpty(folders);
        return [.. folders.Select(folder =>
        {
            int Value(char letter) => folder.Split('_').Where(part => part[0] == letter && int.TryParse(part[1..], out _))
                .Select(part => int.Parse(part[1..])).FirstOrDefault();
            return (folder, MergingSetting.Lgtm(Value('r'), Value('s'), Value('g')));
        })];
    }

    private static MergingSetting Setting(string name)
    {
        if (VitGolden.Metadata("lgtm_settings").TryGetProperty(name, out var windows))
        {
            return MergingSetting.Lgtm(
                windows.GetProperty("r").GetInt32(), windows.GetProperty("local_start").GetInt32(), windows.GetProperty("global_start").GetInt32());
        }

        var r = VitGolden.Metadata("tome_settings").GetProperty(name["tome_".Length..]);
        var schedule = r.ValueKind == JsonValueKind.Number
            ? MergeSchedule.Constant(r.GetInt32())
            : r.EnumerateArray().Any(item => item.GetRawText().Contains('.'))
                ? MergeSchedule.Inflected((int)r[0].GetDouble(), r[1].GetDouble())
                : MergeSchedule.PerBlock(r.EnumerateArray().Select(item => item.GetInt32()));
        return new(MergingMethods.ToMe, schedule);
    }

    private sealed class StateProbe : IActivationProbe
    {
        public List<torch.Tensor> After { get; } = [];

        public bool Wants(int block, ActivationKind kind) => kind == ActivationKind.BlockOutput;

        public void Observe(int block, ActivationKind kind, torch.Tensor value) => After.Add(value.clone().DetachFromDisposeScope());
    }
}
