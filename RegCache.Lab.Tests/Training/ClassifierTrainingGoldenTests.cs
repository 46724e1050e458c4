using System.Text.Json;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Training;
using TorchSharp;

namespace RegCache.Lab.Tests.Training;

/// <summary>Losses, mixing, sampler, schedule and optimisers of a classifier's training against timm and DeiT.</summary>
[Trait("Category", "Golden")]
public sealed class ClassifierTrainingGoldenTests
{
    private const double LossTolerance = 1e-5;
    private const double MixTolerance = 1e-6;

    private readonly Dictionary<string, torch.Tensor> _golden = GoldenTensors.Load("dynamic-tokens", "training.safetensors");

    [Fact]
    public void LabelSmoothing()
    {
        var names = _golden.Keys.Where(name => name.StartsWith("loss/label_smoothing_", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(names);
        foreach (var name in names)
        {
            AssertLoss(name, ClassificationLosses.LabelSmoothing(_golden["loss/logits"], _golden["loss/labels"], Number(name.Split('_')[^1])));
        }
    }

    [Fact]
    public void SoftTargets() => AssertLoss("loss/soft_target_ce", ClassificationLosses.SoftTarget(_golden["loss/logits"], _golden["loss/soft_targets"]));

    [Fact]
    public void Distillation()
    {
        var names = _golden.Keys.Where(name => name.StartsWith("loss/distill_", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(names);
        var baseLoss = ClassificationLosses.SoftTarget(_golden["loss/logits"], _golden["loss/soft_targets"]);
        foreach (var name in names)
        {
            var parts = name.Split('_');
            AssertLoss(name, ClassDistillation.All.Find(parts[1]).Combine(
                baseLoss, _golden["loss/logits_dist"], _golden["loss/teacher_logits"], Number(parts[3]["alpha".Length..]), Number(parts[2]["tau".Length..])));
        }
    }

    [Fact]
    public void Mixup()
    {
        Mix[] mixes = [new(_golden["mix/mixup_lam"].item<float>(), null)];
        GoldenTensors.AssertClose(_golden["mix/mixup_images"], Mixing.Apply(_golden["mix/images"], mixes), MixTolerance);
        GoldenTensors.AssertClose(_golden["mix/mixup_targets"], Mixing.Targets(_golden["mix/labels"], 5, mixes, 0.1), MixTolerance);
    }

    [Fact]
    public void CutMix()
    {
        var images = _golden["mix/images"];
        var (height, width, count) = ((int)images.shape[2], (int)images.shape[3], 0);
        for (; _golden.TryGetValue($"mix/cutmix{count}_box_yl_yh_xl_xh", out var edges); count++)
        {
            var box = edges.data<long>().Select(edge => (int)edge).ToArray();
            var mix = Mix.Pasted(new MixBox(box[0], box[2], box[1] - box[0], box[3] - box[2]), height, width);
            Assert.Equal(_golden[$"mix/cutmix{count}_lam_in_out"][1].item<float>(), mix.Share, MixTolerance);
            GoldenTensors.AssertClose(_golden[$"mix/cutmix{count}_images"], Mixing.Apply(images, [mix]), MixTolerance);
            GoldenTensors.AssertClose(_golden[$"mix/cutmix{count}_targets"], Mixing.Targets(_golden["mix/labels"], 5, [mix], 0.1), MixTolerance);
        }

        Assert.NotEqual(0, count);
    }

    [Fact]
    public void RepeatedAugmentationSampler()
    {
        var settings = Settings("ra");
        var (count, workers, repeats) = (settings.GetProperty("dataset").GetInt32(), settings.GetProperty("world").GetInt32(), settings.GetProperty("repeats").GetInt32());
        int[] shuffled = [.. _golden["ra/permutation_seed2"].data<long>().Select(index => (int)index)];
        for (var rank = 0; rank < workers; rank++)
        {
            Assert.Equal(
                _golden[$"ra/rank{rank}_sequential"].data<long>(),
                RepeatedAugmentation.Indices([.. Enumerable.Range(0, count)], rank, workers, repeats).Select(index => (long)index));
            Assert.Equal(
                _golden[$"ra/rank{rank}_epoch2_shuffled"].data<long>(),
                RepeatedAugmentation.Indices(shuffled, rank, workers, repeats).Select(index => (long)index));
        }
    }

    [Theory]
    [InlineData("a")]
    [InlineData("b")]
    public void LearningRates(string name)
    {
        var settings = Settings($"lr_{name}");
        double Setting(string field) => settings.GetProperty(field).GetDouble();
        const int steps = 7;
        var schedule = new EpochCosineSchedule(
            Setting("base_lr"), settings.GetProperty("warmup_epochs").GetInt32(), settings.GetProperty("epochs").GetInt32(), steps, Setting("warmup_lr"), Setting("min_lr"));
        var values = _golden[$"lr/{name}_epoch_values"].data<double>().ToArray();
        Assert.Equal(schedule.Epochs, values.Length);
        for (var epoch = 0; epoch < values.Length; epoch++)
        {
            Assert.Equal(1, schedule.At(epoch * steps) / values[epoch], 1e-12);
            Assert.Equal(schedule.At(epoch * steps), schedule.At((epoch * steps) + steps - 1));
        }

        Assert.Equal(schedule.End, schedule.At(values.Length * steps));
    }

    [Theory]
    [InlineData("lamb")]
    [InlineData("adamw")]
    public void OptimiserSteps(string name)
    {
        var settings = Settings("opt");
        double Setting(string field) => settings.GetProperty(field).GetDouble();
        torch.Tensor Golden(string field) => _golden[$"opt/{name}/{field}"];
        var (weight, bias) = (Golden("W0").clone().requires_grad_(), Golden("b0").clone().requires_grad_());
        ParameterGroup[] groups = [new([new("b", bias)], Setting("weight_decay_b")), new([new("W", weight)], Setting("weight_decay_W"))];
        Assert.Equal(1, Setting("lamb_max_grad_norm"));
        using var optimizer = Optimizers.All.Find(name).Make(groups, new(settings.GetProperty("betas")[0].GetDouble(), settings.GetProperty("betas")[1].GetDouble(), Setting("eps")));
        var step = 1;
        for (; _golden.ContainsKey($"opt/{name}/W{step}"); step++)
        {
            (weight.grad, bias.grad) = (Golden($"gradW{step}"), Golden($"gradb{step}"));
            optimizer.Step(Setting("lr"));
            GoldenTensors.AssertClose(Golden($"W{step}"), weight.detach(), 1e-6);
            GoldenTensors.AssertClose(Golden($"b{step}"), bias.detach(), 1e-6);
        }

        Assert.True(step > 3);
    }

    private static JsonElement Settings(string name)
    {
        using var file = WeightFile.Open(Goldens.Path("dynamic-tokens", "training.safetensors"));
        return JsonDocument.Parse(file.Metadata[name]).RootElement;
    }

    private static double Number(string text) => double.Parse(text, System.Globalization.CultureInfo.InvariantCulture);

    private void AssertLoss(string name, torch.Tensor loss) => GoldenTensors.AssertClose(_golden[name].view(1), loss.view(1), LossTolerance);
}
