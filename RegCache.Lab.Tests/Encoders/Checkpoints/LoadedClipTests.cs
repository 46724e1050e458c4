using System.Text.Json.Nodes;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using TorchSharp;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>What a model folder becomes, and what is said of it.</summary>
public sealed class LoadedClipTests : IDisposable
{
    // Of a width whose heads are known, so that the weights load without a configuration.
    private static readonly ClipConfig Config = new()
    {
        EmbedDim = 8,
        Vision = new() { Layers = 1, Width = 64, PatchSize = 8, ImageSize = (16, 16) },
        Text = new() { Layers = 1, Width = 64, Heads = 1, ContextLength = 5, VocabSize = 9 },
    };

    private readonly TemporaryFolder _folder = new();
    private readonly List<WeightEntry> _entries = Entries(Config);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void TheActivationThatNothingNamesIsTold()
    {
        using var clip = Load(null);

        Assert.False(clip.Model.Config.QuickGelu);
        Assert.Contains(clip.Assumptions, sentence => sentence.Contains("exact GELU", StringComparison.Ordinal));
        Assert.Contains(clip.Assumptions, sentence => sentence.Contains("1 head,", StringComparison.Ordinal));
        using var openAi = Load(null, new() { Pretrained = "openai" });
        Assert.True(openAi.Model.Config.QuickGelu);
    }

    [Theory]
    [InlineData("openai", false, false)]
    [InlineData("dfn2b", false, false)]
    [InlineData("local", true, true)]
    [InlineData("openai", null, true)]
    [InlineData("metaclip_altogether", null, false)]
    public void AConfigurationThatNamesItsActivationIsRight(string tag, bool? said, bool quick)
    {
        using var clip = Load(said, new() { Pretrained = tag });

        Assert.Equal(quick, clip.Model.Config.QuickGelu);
        Assert.Equal(tag is "openai" or "dfn2b" ? 1 : 0, clip.Assumptions.Count);
    }

    [Fact]
    public void HeadsThatContradictTheConfigurationAreRefused() =>
        Assert.Contains("1 heads, not 2", Assert.Throws<UserException>(() => Load(false, new() { Heads = 2 })).Message, StringComparison.Ordinal);

    [Fact]
    public void TheKeyChoosesTheModelAndIsPartOfItsIdentity()
    {
        var half = _entries.Select(entry => WeightEntry.FromTensor(entry.Name, entry.ToTensor() / 2)).ToList();
        PickleBuilder.WriteStateDict(
            _folder["both.pt"], [.. _entries.Select(entry => entry.Rename("model." + entry.Name)), .. half.Select(entry => entry.Rename("model_ema." + entry.Name))]);
        using var first = LoadedClip.Load(_folder["both.pt"], new() { WeightsKey = "model" });
        using var second = LoadedClip.Load(_folder["both.pt"], new() { WeightsKey = "model_ema" });

        Assert.Equal(first.Hash, second.Hash);
        Assert.NotEqual(first.Identity, second.Identity);
        using var difference = first.Model.Weights["visual.proj"] - (2 * second.Model.Weights["visual.proj"]);
        Assert.Equal(0, difference.abs().max().item<float>());
    }

    [Fact]
    public void AHuggingFaceTowerWithoutProjectionGivesItsPooledTokens()
    {
        var tower = HuggingFaceState.FromOpenClip(new("tower", _entries.Where(entry => entry.Name.StartsWith("visual.", StringComparison.Ordinal) && entry.Name != "visual.proj")));
        SafetensorsWriter.Write(_folder["model.safetensors"], tower);
        File.WriteAllText(
            _folder["config.json"],
            """{"model_type":"clip_vision_model","hidden_size":64,"intermediate_size":256,"num_attention_heads":1,"num_hidden_layers":1,"image_size":16,"patch_size":8,"projection_dim":8,"hidden_act":"gelu"}""");
        using var alone = LoadedClip.Load(_folder.Root);
        using var whole = Load(false);
        using var scope = torch.NewDisposeScope();
        var images = torch.ones(2, 3, 16, 16);
        var pooled = alone.Model.Vision.Encode(images);

        Assert.Equal([2L, 64L], pooled.shape);
        Assert.True(torch.allclose(pooled.matmul(whole.Model.Weights["visual.proj"]), whole.Model.Vision.Encode(images), 1e-4, 1e-5));
        Assert.Contains(alone.Assumptions, sentence => sentence.Contains("no projection", StringComparison.Ordinal));
    }

    [Fact]
    public void ATextTowerThatTheWeightsLackIsTold()
    {
        SafetensorsWriter.Write(_folder["tower.safetensors"], _entries.Where(entry => entry.Name.StartsWith("visual.", StringComparison.Ordinal)));
        File.WriteAllText(_folder["tower.json"], ClipConfigJson.ToJson(Config));
        using var tower = LoadedClip.Load(_folder["tower.safetensors"]);
        using var whole = Load(false);

        Assert.Null(tower.Model.Text);
        Assert.Contains(tower.Assumptions, sentence => sentence.Contains("no text tower", StringComparison.Ordinal));
        Assert.DoesNotContain(whole.Assumptions, sentence => sentence.Contains("text tower", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("", 0.25)]
    [InlineData(""","preprocess_cfg":null""", 0.25)]
    [InlineData(""","preprocess_cfg":{"mean":0.5}""", 0.5)]
    public void TheFoldersPreprocessingHoldsWhereTheGivenConfigurationHasNone(string given, double mean)
    {
        string WithPreprocessing(string more) => $$"""{"model_cfg":{{ClipConfigJson.ToJson(Config)}}{{more}}}""";
        SafetensorsWriter.Write(_folder["open_clip_model.safetensors"], _entries);
        File.WriteAllText(_folder["open_clip_config.json"], WithPreprocessing(""","preprocess_cfg":{"mean":0.25}"""));
        File.WriteAllText(_folder["given.json"], WithPreprocessing(given));
        using var clip = LoadedClip.Load(_folder.Root, new() { Config = _folder["given.json"] });

        Assert.Equal(RgbValues.All(mean), clip.Preprocess.Mean);
    }

    [Fact]
    public void AnObjectInAWantedTensorsPlaceIsNamed()
    {
        var kept = _entries.Where(entry => entry.Name != "visual.ln_post.bias").ToList();
        PickleBuilder.WriteStateDict(_folder["odd.pt"], kept, pickle => PickledObjects.All["sparse tensor"](pickle.Text("visual.ln_post.bias")).Op(PickleOpcode.SetItem));

        var message = Assert.Throws<UserException>(() => LoadedClip.Load(_folder["odd.pt"])).Message;
        Assert.Contains("`visual.ln_post.bias`", message, StringComparison.Ordinal);
        Assert.Contains("_rebuild_sparse_tensor", message, StringComparison.Ordinal);
    }

    private static List<WeightEntry> Entries(ClipConfig config) =>
    [
        .. ClipParameters.Of(config).Select((parameter, seed) =>
        {
            var random = new Random(seed);
            var count = parameter.Shape.Aggregate(1L, (product, size) => product * size);
            return WeightEntry.FromValues<float>(parameter.Name, Enumerable.Range(0, (int)count).Select(_ => (random.NextSingle() - 0.5f) / 4).ToArray(), parameter.Shape);
        }),
    ];

    private LoadedClip Load(bool? quick, ClipLoadOptions? options = null)
    {
        var path = _folder[$"{Guid.NewGuid():N}/weights.safetensors"];
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        SafetensorsWriter.Write(path, _entries);
        if (quick is not null || options is { Pretrained: "openai" or "metaclip_altogether" })
        {
            var json = JsonNode.Parse(ClipConfigJson.ToJson(Config))!.AsObject();
            json.Remove("quick_gelu");
            if (quick is { } said)
            {
                json["quick_gelu"] = said;
            }

            File.WriteAllText(Path.ChangeExtension(path, ".json"), json.ToJsonString());
        }

        return LoadedClip.Load(path, options);
    }
}
