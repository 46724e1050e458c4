using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

public sealed class VitClassifierLoaderTests : IDisposable
{
    private const int Width = 64;
    private const int Classes = 5;

    private readonly string _folder = Directory.CreateTempSubdirectory("vit").FullName;
    private readonly DisposeScope _scope = torch.NewDisposeScope();

    [Theory]
    [InlineData("")]
    [InlineData("model.")]
    public void LoadsAFileWhateverIsAroundItsWeights(string prefix)
    {
        var tensors = Tensors();
        using var direct = VitClassifierLoader.FromTensors("test", tensors);
        KeyValuePair<string, Tensor>[] others =
            [new("optimizer.state.0.exp_avg", torch.ones(3)), new("loss_scaler.scale", torch.ones(1)), .. prefix.Length == 0 ? [] : new[] { KeyValuePair.Create("ema_rate", torch.ones(1)) }];
        using var loaded = VitClassifierLoader.Load(
            Write([.. tensors.Select(pair => KeyValuePair.Create(prefix + pair.Key, pair.Value)), .. others]));
        var images = torch.randn(2, 3, 16, 16);
        Assert.Equal(new VisionConfig { Layers = 2, Width = Width, HeadWidth = 64, PatchSize = 4, ImageSize = (16, 16), NoLnPre = true, Epsilon = 1e-6 }, loaded.Config.Vision);
        Assert.Equal(Classes, loaded.Config.EmbedDim);
        Assert.True(direct.Vision.Encode(images).eq(loaded.Vision.Encode(images)).all().item<bool>());
    }

    [Theory]
    [InlineData(4)]
    [InlineData(1)]
    [InlineData(171)]
    public void TheHiddenChannelsAreThoseOfTheWeights(int hidden)
    {
        var tensors = Tensors();
        foreach (var name in tensors.Keys.Where(name => name.Contains("mlp.fc", StringComparison.Ordinal)).ToList())
        {
            var shape = tensors[name].shape.Select(length => length == 4 * Width ? hidden : length).ToArray();
            tensors[name] = torch.randn(shape).mul_(0.1);
        }

        using var model = VitClassifierLoader.FromTensors("test", tensors);
        Assert.Equal(hidden, model.Config.Vision.MlpWidth);
    }

    [Fact]
    public void AModelWithoutClassTokenPoolsItsPatches()
    {
        var tensors = Tensors();
        tensors.Remove("cls_token");
        tensors["pos_embed"] = torch.randn(1, 16, Width);
        using var model = VitClassifierLoader.FromTensors("test", tensors);
        Assert.Equal((0, VisionPooling.Average), (model.Config.Vision.ClassTokens, model.Config.Vision.PoolType));
        Assert.Equal([1, Classes], model.Vision.Encode(torch.randn(1, 3, 16, 16)).shape);
    }

    [Fact]
    public void AMissingBiasOfQueriesKeysAndValuesIsZero()
    {
        var tensors = Tensors();
        var without = tensors.Where(pair => !pair.Key.EndsWith("qkv.bias", StringComparison.Ordinal)).ToDictionary();
        foreach (var name in tensors.Keys.Where(name => name.EndsWith("qkv.bias", StringComparison.Ordinal)))
        {
            tensors[name].zero_();
        }

        using var zero = VitClassifierLoader.FromTensors("test", tensors);
        using var absent = VitClassifierLoader.FromTensors("test", without);
        var images = torch.randn(2, 3, 16, 16);
        Assert.True(zero.Vision.Encode(images).eq(absent.Vision.Encode(images)).all().item<bool>());
    }

    [Theory]
    [InlineData("blocks.0.attn.q_norm.weight", "q_norm")]
    [InlineData("reg_token", "reg_token")]
    public void AnotherArchitectureIsRefused(string extra, string named)
    {
        var tensors = Tensors();
        tensors[extra] = torch.ones(1);
        Assert.Contains(named, Assert.Throws<UserException>(() => VitClassifierLoader.FromTensors("test", tensors)).Message);
    }

    [Theory]
    [InlineData("head.weight")]
    [InlineData("pos_embed")]
    [InlineData("blocks.0.norm1.weight")]
    [InlineData("blocks.1.mlp.fc2.bias")]
    [InlineData("norm.weight")]
    public void AMissingTensorIsNamed(string name)
    {
        var tensors = Tensors();
        tensors.Remove(name);
        var message = Assert.Throws<UserException>(() => VitClassifierLoader.FromTensors("the file", tensors)).Message;
        Assert.Contains("the file", message);
    }

    [Fact]
    public void HeadsThatNothingTellsAreAskedForAndAssumedOnesTold()
    {
        List<string> told = [];
        using var model = VitClassifierLoader.FromTensors("test", Tensors(), new() { Assumptions = told });
        Assert.Contains("--heads", Assert.Single(told), StringComparison.Ordinal);

        var wide = Tensors();
        wide["patch_embed.proj.weight"] = torch.randn(2 * Width, 3, 4, 4);
        Assert.Contains("give --heads", Assert.Throws<UserException>(() => VitClassifierLoader.FromTensors("test", wide)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OfSeveralModelsOneMustBeNamed()
    {
        var path = Write([.. Tensors().SelectMany(_ => new[] { "state_dict.", "state_dict_ema." }, (pair, prefix) => KeyValuePair.Create(prefix + pair.Key, pair.Value))]);

        Assert.Contains(
            "`state_dict` and `state_dict_ema`", Assert.Throws<UserException>(() => VitClassifierLoader.Load(path)).Message, StringComparison.Ordinal);
        using var chosen = VitClassifierLoader.Load(path, new() { WeightsKey = "state_dict_ema" });
        Assert.Equal(2, chosen.Config.Vision.Layers);
    }

    [Fact]
    public void OtherFilesAreNotRecognised()
    {
        var path = Write([new("visual.proj", torch.ones(2, 2))]);
        Assert.False(VitClassifierLoader.Recognises(path));
        Assert.Contains(path, Assert.Throws<UserException>(() => VitClassifierLoader.Load(path)).Message);
    }

    public void Dispose()
    {
        _scope.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static Dictionary<string, Tensor> Tensors()
    {
        var tensors = new Dictionary<string, Tensor>
        {
            ["cls_token"] = torch.randn(1, 1, Width),
            ["pos_embed"] = torch.randn(1, 17, Width),
            ["patch_embed.proj.weight"] = torch.randn(Width, 3, 4, 4),
            ["patch_embed.proj.bias"] = torch.randn(Width),
            ["norm.weight"] = torch.ones(Width),
            ["norm.bias"] = torch.zeros(Width),
            ["head.weight"] = torch.randn(Classes, Width),
            ["head.bias"] = torch.randn(Classes),
        };
        for (var block = 0; block < 2; block++)
        {
            foreach (var (name, shape) in new (string, long[])[]
            {
                ("norm1.weight", [Width]), ("norm1.bias", [Width]), ("attn.qkv.weight", [3 * Width, Width]), ("attn.qkv.bias", [3 * Width]),
                ("attn.proj.weight", [Width, Width]), ("attn.proj.bias", [Width]), ("norm2.weight", [Width]), ("norm2.bias", [Width]),
                ("mlp.fc1.weight", [4 * Width, Width]), ("mlp.fc1.bias", [4 * Width]), ("mlp.fc2.weight", [Width, 4 * Width]), ("mlp.fc2.bias", [Width]),
            })
            {
                tensors[$"blocks.{block}.{name}"] = torch.randn(shape).mul_(0.1);
            }
        }

        return tensors;
    }

    private string Write(IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        var path = Path.Combine(_folder, "vit.safetensors");
        SafetensorsWriter.Write(path, [.. tensors.Select(pair => WeightEntry.FromTensor(pair.Key, pair.Value))]);
        return path;
    }
}
