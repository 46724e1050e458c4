using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using TorchSharp;

namespace RegCache.Lab.Tests.Evaluation;

[Trait("Category", "Golden")]
public sealed class MacsGoldenTests
{
    private const int Classes = 1000;

    public static TheoryData<string> Entries()
    {
        using var scope = torch.NewDisposeScope();
        return [.. GoldenTensors.Load("token-merging", "misc.safetensors").Keys.Where(key => key.StartsWith("macs/", StringComparison.Ordinal))];
    }

    [Theory]
    [MemberData(nameof(Entries))]
    public void AccountIsExact(string name)
    {
        using var scope = torch.NewDisposeScope();
        var wanted = GoldenTensors.Load("token-merging", "misc.safetensors")[name].data<long>().ToArray();
        var parts = name.Split('/');
        var config = Model(parts[1]);
        var table = MacsTable.Of(config, Classes, Schedule(parts[2]).ApplyTo(EncoderPlan.Plain(config.Layers)));
        Assert.Equal((wanted[0], wanted[1]), (table.Total, table.FinalTokens));
    }

    [Fact]
    public void MatchingIsCountedApart()
    {
        var config = Model("B16");
        var global = MacsTable.Of(config, Classes, MergingSetting.ToMe(8).ApplyTo(EncoderPlan.Plain(config.Layers)));
        Assert.Equal(
            Enumerable.Range(0, config.Layers).Sum(block => (197L - (8 * block) + 1) / 2 * ((197 - (8 * block)) / 2) * 64), global.Matching);

        var local = MacsTable.Of(config, Classes, MergingSetting.Lgtm(8, 0, 1).ApplyTo(EncoderPlan.Plain(config.Layers)));
        Assert.Equal(4 * 25 * 24 * 64, local.Rows.First(row => row.Kind == MacsKind.Matching).Macs);
    }

    [Fact]
    public void PrefixKeysCountInTheProductsOfAttention()
    {
        var config = Model("S16");
        var prefix = new RegisterPrefix("p", new Dictionary<int, (torch.Tensor, torch.Tensor)>());
        var plan = EncoderPlan.Plain(config.Layers);
        var with = plan.With(3, block => block with { Prefix = prefix, PrefixCount = 4 });
        Assert.Equal(2 * 197 * 4 * 384, MacsTable.Of(config, Classes, with).Total - MacsTable.Of(config, Classes, plan).Total);
    }

    // Names such as Ti16, H14 and L16_384: the standard size, the patch, and the image where it is not 224.
    private static VisionConfig Model(string name)
    {
        var size = name.Split('_');
        var letters = size[0].TrimEnd("0123456789".ToCharArray());
        var (width, layers, heads) = letters switch
        {
            "Ti" => (192, 12, 3),
            "S" => (384, 12, 6),
            "B" => (768, 12, 12),
            "L" => (1024, 24, 16),
            "H" => (1280, 32, 16),
            _ => throw new InvalidDataException($"There is no standard ViT {name}."),
        };
        var image = size.Length > 1 ? int.Parse(size[1]) : 224;
        return new()
        {
            Width = width,
            Layers = layers,
            HeadWidth = width / heads,
            PatchSize = int.Parse(size[0][letters.Length..]),
            ImageSize = (image, image),
        };
    }

    // r8, r8_dec, r8_inc, dfe2_r8 and lgtm1_7_r16.
    private static MergingSetting Schedule(string name)
    {
        var parts = name.Split('_');
        var count = int.Parse(parts.Single(part => part[0] == 'r')[1..]);
        return parts[0] switch
        {
            var dense when dense.StartsWith("dfe", StringComparison.Ordinal) => MergingSetting.Dfe(count, int.Parse(dense[3..])),
            var local when local.StartsWith("lgtm", StringComparison.Ordinal) =>
                MergingSetting.Lgtm(count, int.Parse(local[4..]), int.Parse(parts[1])),
            _ => new(MergingMethods.ToMe, MergeSchedule.Inflected(count, parts.Contains("dec") ? -1 : parts.Contains("inc") ? 1 : 0)),
        };
    }
}
