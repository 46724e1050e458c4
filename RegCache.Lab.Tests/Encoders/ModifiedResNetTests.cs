using System.Globalization;
using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Tests.Encoders;

public sealed class ModifiedResNetTests
{
    private const string Area = "dynamic-pooling";

    /// <summary>A ResNet whose text tower fits a context of ten ids.</summary>
    public static readonly ClipConfig Tiny = RandomModels.Tiny with
    {
        Vision = new() { Stages = [1, 2, 1, 1], Layers = 0, Width = 8, HeadWidth = 32, ImageSize = (64, 96) },
    };

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    [Trait("Category", "Golden")]
    public void FeaturesAndMapsMatch(bool isTrained)
    {
        using var scope = torch.NewDisposeScope();
        using var golden = new Golden();
        // Weights that are trained are not folded.
        golden.Require(isTrained);
        using var noGradient = torch.no_grad();
        var (tower, images) = (golden.Tower, golden["in.image"]);
        Tensor Mean(int stage) => tower.Maps(images, stage).mean([2, 3]);
        golden.AssertClose("eval.stem", tower.Maps(images, 0).narrow(2, 0, 4).narrow(3, 0, 4), 2e-5);
        golden.AssertClose("eval.layer1_mean", Mean(1), 2e-5);
        golden.AssertClose("eval.layer2_mean", Mean(2), 2e-5);
        golden.AssertClose("eval.layer3_mean", Mean(3), 2e-5);
        golden.AssertClose("eval.layer4", tower.Maps(images), 2e-5);
        golden.AssertClose("eval.out", tower.Encode(images), 2e-5);
    }

    [Fact]
    [Trait("Category", "Golden")]
    public void ATrainingStepMatches()
    {
        using var scope = torch.NewDisposeScope();
        using var golden = new Golden();
        golden.Require(true);
        var output = golden.Tower.TrainingSegments(null).Aggregate(golden["in.image"], (maps, segment) => segment(maps));
        golden.AssertClose("train.out", output, 2e-5);
        (output * golden["in.R"]).sum().backward();
        foreach (var name in golden.Names("train.g."))
        {
            // The key's bias adds the same to all logits: upstream's gradient is rounding, ours is none.
            var weight = golden.Weights[$"visual.{name["train.g.".Length..]}"];
            golden.AssertClose(name, weight.grad ?? torch.zeros_like(weight), 1e-4);
        }

        foreach (var name in golden.Names("train.").Where(name => BatchNorm.IsStatistic(name)))
        {
            golden.AssertClose(name, golden.Weights[$"visual.{name["train.".Length..]}"], name.EndsWith(BatchNorm.Count, StringComparison.Ordinal) ? 0 : 1e-5);
        }
    }

    [Fact]
    [Trait("Category", "Golden")]
    public void NamesShapesAndNumbersAreThoseOfRn50()
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Goldens.Path(Area, "rn50_state_dict.json")));
        var config = ClipConfigs.Get("RN50");
        var ours = ClipParameters.Of(config).Where(parameter => parameter.Name.StartsWith("visual.", StringComparison.Ordinal)).ToList();
        var expected = document.RootElement.GetProperty("state_dict").EnumerateObject()
            .Select(entry => ($"visual.{entry.Name}", string.Join(',', entry.Value.EnumerateArray().Select(size => size.GetInt64()))));
        Assert.Equal(expected, ours.Select(parameter => (parameter.Name, string.Join(',', parameter.Shape))));

        static long Count(IEnumerable<(string Name, long[] Shape)> list) =>
            list.Where(parameter => !BatchNorm.IsStatistic(parameter.Name)).Sum(parameter => parameter.Shape.Aggregate(1L, (product, size) => product * size));
        Assert.Equal(document.RootElement.GetProperty("params").GetInt64(), Count(ours));
        Assert.Equal(102_007_137, Count(ClipParameters.Of(config)));
    }

    [Fact]
    public void FeaturesDoNotDependOnTheBatch()
    {
        using var scope = torch.NewDisposeScope();
        using var noGradient = torch.no_grad();
        using var model = Create();
        var images = torch.randn(5, 3, 64, 96);
        var together = model.ImageTower.Encode(images);
        for (var image = 0; image < 5; image++)
        {
            GoldenTensors.AssertClose(together.narrow(0, image, 1), model.ImageTower.Encode(images.narrow(0, image, 1)), 1e-5);
        }
    }

    [Fact]
    public void HalfPrecisionStaysClose()
    {
        using var scope = torch.NewDisposeScope();
        using var noGradient = torch.no_grad();
        using var exact = Create();
        using var half = new ClipModel(Tiny, Weights().Place(torch.CPU, torch.ScalarType.BFloat16));
        Assert.Equal(torch.ScalarType.Int64, half.Weights["visual.bn1.num_batches_tracked"].dtype);
        Assert.Equal(torch.ScalarType.Float32, half.Weights["visual.layer1.0.downsample.1.running_var"].dtype);
        var images = torch.randn(2, 3, 64, 96);
        var (wide, narrow) = (exact.ImageTower.Encode(images), half.ImageTower.Encode(images.to(torch.ScalarType.BFloat16)).to(torch.ScalarType.Float32));
        Assert.InRange(((wide - narrow).norm() / wide.norm()).item<float>(), 1e-6f, 0.05f);
    }

    [Fact]
    public void WhatWasFoldedIsForgottenWhenATrainingBegins()
    {
        using var scope = torch.NewDisposeScope();
        using var noGradient = torch.no_grad();
        using var model = Create();
        var (tower, images) = ((ModifiedResNet)model.ImageTower, torch.randn(2, 3, 64, 96));
        var before = tower.Encode(images);
        _ = tower.TrainingSegments(null);
        model.Weights["visual.layer1.0.bn2.weight"].mul_(2);
        using var fresh = new ClipModel(Tiny, new WeightTable("copy", model.Weights.Names.Select(name => KeyValuePair.Create(name, model.Weights[name].clone()))));
        GoldenTensors.AssertClose(fresh.ImageTower.Encode(images), tower.Encode(images), 1e-5);
        Assert.NotEqual(before[0, 0].item<float>(), tower.Encode(images)[0, 0].item<float>());
    }

    [Fact]
    public void WhatNeedsTokensRefusesInOneSentence()
    {
        using var model = Create();
        Assert.Contains("ResNet", Assert.Throws<UserException>(() => model.Vision).Message, StringComparison.Ordinal);
        using var runner = new PlanRunner(model.ImageTower);
        using var images = torch.randn(1, 3, 64, 96);
        Assert.Throws<UserException>(() => runner.Run(images, EncoderPlan.Plain(1)));
        Assert.Throws<UserException>(() => runner.Forward(images, EncoderPlan.Plain(0)));
        Assert.Contains(
            "[B, 3, 64, 96]", Assert.Throws<UserException>(() => model.ImageTower.Encode(torch.zeros(1, 3, 64, 64))).Message, StringComparison.Ordinal);
        using var plain = runner.Run(images, EncoderPlan.Plain(0));
        GoldenTensors.AssertIdentical(model.ImageTower.Encode(images), plain);
    }

    [Fact]
    public void CheckpointsWithoutCountsOfBatchesAndOfHalfPrecisionLoad()
    {
        using var folder = new TemporaryFolder();
        using var noGradient = torch.no_grad();
        using var model = Create();
        var path = folder["model.safetensors"];
        SafetensorsWriter.Write(path, model.Weights.Names.Where(name => !name.EndsWith(BatchNorm.Count, StringComparison.Ordinal))
            .Select(name => WeightEntry.FromTensor($"module.{name}", model.Weights[name].to(torch.ScalarType.Float16))));
        File.WriteAllText(folder["config.json"], ClipConfigJson.ToJson(Tiny));
        using var loaded = LoadedClip.Load(path, new() { Config = folder["config.json"] });
        Assert.Equal(Tiny, loaded.Model.Config);
        Assert.Equal(0, loaded.Model.Weights["visual.layer4.0.bn3.num_batches_tracked"].item<long>());
        using var images = torch.randn(1, 3, 64, 96);
        GoldenTensors.AssertClose(model.ImageTower.Encode(images), loaded.Model.ImageTower.Encode(images), 0.05);
    }

    [Fact]
    public void ATowerAloneAndPositionsOfAnotherSizeLoad()
    {
        using var folder = new TemporaryFolder();
        var square = Tiny with { Vision = Tiny.Vision with { ImageSize = (64, 64), HeadWidth = 64 } };
        using var weights = Weights(square);
        var path = folder["tower.safetensors"];
        SafetensorsWriter.Write(path, weights.Names.Where(name => name.StartsWith("visual.", StringComparison.Ordinal)).Select(name => WeightEntry.FromTensor(name["visual.".Length..], weights[name])));
        using var alone = LoadedClip.Load(path);
        Assert.Equal(square with { Text = null }, alone.Model.Config);
        Assert.Contains(alone.Assumptions, sentence => sentence.Contains("4 heads of 64 channels", StringComparison.Ordinal));

        File.WriteAllText(folder["wide.json"], ClipConfigJson.ToJson(square with { Vision = square.Vision with { ImageSize = (96, 128) } }));
        using var resized = LoadedClip.Load(path, new() { Config = folder["wide.json"] });
        Assert.Equal([13, 256], resized.Model.Weights["visual.attnpool.positional_embedding"].shape);
        using var images = torch.randn(1, 3, 96, 128);
        Assert.Equal([1, 12], resized.Model.ImageTower.Encode(images).shape);
    }

    [Theory]
    [InlineData("""{"layers":[3,4,6],"width":64}""", "four numbers")]
    [InlineData("""{"layers":[3,4,6,0],"width":64}""", "four numbers")]
    [InlineData("""{"layers":[1,1,1,1],"width":64,"image_size":200}""", "multiple of 32")]
    [InlineData("""{"layers":[1,1,1,1],"width":63}""", "even")]
    [InlineData("""{"layers":[1,1,1,1],"width":2,"head_width":48}""", "head width 48")]
    public void ImpossibleShapesAreRefused(string vision, string complaint)
    {
        using var document = JsonDocument.Parse($$$"""{"embed_dim":8,"vision_cfg":{{{vision}}},"text_cfg":{}}""");
        var message = Assert.Throws<UserException>(() => ClipConfigJson.Parse(document.RootElement, "test.json")).Message;
        Assert.Contains(complaint, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("openai", true)]
    [InlineData("yfcc15m", true)]
    [InlineData("cc12m", true)]
    public void PublishedWeightsNeedQuickGelu(string tag, bool quick) =>
        Assert.Equal(quick, QuickGeluRule.Apply(ClipConfigs.Get("RN50"), ActivationOrigin.Default, new(tag, "weights.pt")).QuickGelu);

    /// <summary>A model with random weights and statistics.</summary>
    public static ClipModel Create(ClipConfig? config = null) => new(config ?? Tiny, Weights(config));

    private static WeightTable Weights(ClipConfig? config = null)
    {
        using var generator = new torch.Generator(7);
        return new("random weights", ClipParameters.Of(config ?? Tiny).Select(parameter => KeyValuePair.Create(parameter.Name, Draw(parameter.Name, parameter.Shape, generator))));
    }

    private static Tensor Draw(string name, long[] shape, torch.Generator generator) =>
        name.EndsWith(BatchNorm.Count, StringComparison.Ordinal) ? torch.zeros(shape, dtype: torch.ScalarType.Int64)
        : name.EndsWith(BatchNorm.RunningVariance, StringComparison.Ordinal) ? torch.rand(shape, generator: generator) + 0.5
        : shape.Length == 1 && name.EndsWith("weight", StringComparison.Ordinal) ? (torch.rand(shape, generator: generator) * 0.4) + 0.8
        : torch.randn(shape, generator: generator) * Math.Pow(shape.Skip(1).Aggregate(1L, (product, size) => product * size), -0.5);

    /// <summary>The golden tower with everything that its file says.</summary>
    private sealed class Golden : IDisposable
    {
        private readonly Dictionary<string, Tensor> _tensors;

        public Golden()
        {
            using var file = WeightFile.Open(Goldens.Path(Area, "modified_resnet.safetensors"));
            int Number(string name) => int.Parse(file.Metadata[name], CultureInfo.InvariantCulture);
            var (width, size) = (Number("width"), Number("image_size"));
            _tensors = file.Tensors.ToDictionary(entry => entry.Name, entry => entry.ToTensor().DetachFromDisposeScope());
            Weights = new("golden", Names("w.").Select(name => KeyValuePair.Create($"visual.{name[2..]}", _tensors[name])));
            var config = new ClipConfig
            {
                EmbedDim = Number("output_dim"),
                Vision = new()
                {
                    Stages = JsonSerializer.Deserialize<ValueList<int>>(file.Metadata["layers"])!,
                    Layers = 0,
                    Width = width,
                    HeadWidth = width * ModifiedResNet.Stride / Number("heads"),
                    ImageSize = (size, size),
                },
            };
            Assert.Equal(BatchNorm.Epsilon, double.Parse(file.Metadata["eps"], CultureInfo.InvariantCulture));
            Assert.Equal(BatchNorm.Momentum, double.Parse(file.Metadata["momentum"], CultureInfo.InvariantCulture));
            Tower = new(config, Weights);
        }

        public WeightTable Weights { get; }

        public ModifiedResNet Tower { get; }

        public Tensor this[string name] => _tensors[name];

        public IEnumerable<string> Names(string start) => [.. _tensors.Keys.Where(name => name.StartsWith(start, StringComparison.Ordinal))];

        public void Require(bool gradients)
        {
            foreach (var name in Weights.Names.Where(name => !BatchNorm.IsStatistic(name)))
            {
                Weights[name].requires_grad = gradients;
            }
        }

        public void AssertClose(string name, Tensor actual, double tolerance)
        {
            using var scope = torch.NewDisposeScope();
            var expected = _tensors[name];
            GoldenTensors.AssertClose(expected, actual.detach(), tolerance * Math.Max(1, expected.abs().max().to(torch.ScalarType.Float64).item<double>()));
        }

        public void Dispose()
        {
            Tower.Dispose();
            foreach (var tensor in _tensors.Values)
            {
                tensor.Dispose();
            }
        }
    }
}
