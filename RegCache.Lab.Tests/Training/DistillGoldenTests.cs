using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Memory;
using RegCache.Lab.Tests.Memory;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Tests.Training;

[Trait("Category", "Golden")]
public sealed class DistillGoldenTests : IDisposable
{
    private readonly DisposeScope _scope = torch.NewDisposeScope();
    private readonly Dictionary<string, Tensor> _golden = GoldenTensors.Load(MemoryGolden.Area, "tiny_memory_clip.safetensors");

    public static TheoryData<int, bool> Runs
    {
        get
        {
            var data = new TheoryData<int, bool>();
            for (var run = 0; run < MemoryGolden.Read("distill_runs.json").GetProperty("runs").GetArrayLength(); run++)
            {
                data.Add(run, false);
                data.Add(run, true);
            }

            return data;
        }
    }

    [Theory]
    [InlineData("mse")]
    [InlineData("l2")]
    [InlineData("cosine")]
    public void LossesAndTheirGradients(string name)
    {
        var student = _golden["loss.student"].detach().requires_grad_();
        var loss = FeatureLosses.All.Find(name).Of(_golden["loss.teacher"], student);
        loss.backward();
        GoldenTensors.AssertClose(_golden[$"loss.{name}"], loss.detach(), 1e-5);
        GoldenTensors.AssertClose(_golden[$"loss.{name}.grad"], student.grad!, 1e-5);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void GradientsOfTheMemoryAndOfNothingElse(bool checkpointing)
    {
        using var teacher = MemoryGolden.Teacher();
        using var student = MemoryGolden.Student();
        using var task = Task(teacher, student, Config() with { LossType = "cosine", GradCheckpointing = checkpointing });
        var (loss, _) = task.Differentiate([Batch(0)], CounterRandom.Of(0, 0, 0));
        GoldenTensors.AssertClose(_golden["grad.loss"], loss, 1e-5);
        foreach (var (name, tensor) in student.Weights.Parameters)
        {
            Assert.Equal(MemoryNames.IsMemory(name), tensor.grad is not null);
            if (tensor.grad is { } gradient)
            {
                GoldenTensors.AssertClose(_golden[$"grad.{name}"], gradient, 2e-4);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void StepsOfTheForksLoop(int index, bool checkpointing)
    {
        var run = MemoryGolden.Read("distill_runs.json").GetProperty("runs")[index];
        double Number(string name) => run.GetProperty(name).GetDouble();
        var (name, accumulation) = (run.GetProperty("loss_type").GetString()!, run.GetProperty("accum_freq").GetInt32());
        using var teacher = MemoryGolden.Teacher();
        using var student = MemoryGolden.Student();
        var before = student.Weights.Parameters.ToDictionary(pair => pair.Key, pair => pair.Value.detach().clone());
        using var task = Task(teacher, student, Config() with { LossType = name, SumGradients = true, GradCheckpointing = checkpointing });
        using var optimizer = new AdamW(ParameterGroups.Of(student.Weights, Number("weight_decay")), new(0.9, 0.98, 1e-6));
        var schedule = new CosineSchedule(Number("lr"), run.GetProperty("warmup").GetInt64(), run.GetProperty("total_steps").GetInt64());
        var batches = run.GetProperty("batches").EnumerateArray().Select(batch => batch.GetInt32()).Chunk(accumulation);
        foreach (var (step, numbers) in batches.Index())
        {
            optimizer.ZeroGradients();
            var (loss, _) = task.Differentiate([.. numbers.Select(Batch)], CounterRandom.Of(0, 0, 0));
            Assert.Equal(run.GetProperty("logged_loss")[step].GetDouble(), loss.ToDouble(), 1e-4);
            Assert.Equal(run.GetProperty("logged_lr")[step].GetDouble(), schedule.At(step), 1e-12);
            optimizer.Step(schedule.At(step));
        }

        var prefix = $"run.{name}_a{accumulation}.";
        var compared = _golden.Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(compared);
        Assert.All(compared, pair => GoldenTensors.AssertClose(pair.Value, student.Weights[pair.Key[prefix.Length..]].detach(), 5e-4));

        // What is frozen keeps every bit; what is trained does not.
        foreach (var (parameter, tensor) in student.Weights.Parameters)
        {
            Assert.Equal(!MemoryNames.IsMemory(parameter), before[parameter].eq(tensor).all().item<bool>());
        }
    }

    [Fact]
    public void TheEvaluationOfThePairs()
    {
        var expected = MemoryGolden.Read("distill_runs.json").GetProperty("evaluate");
        using var teacher = MemoryGolden.Teacher();
        using var student = MemoryGolden.Student();
        using var noGradient = torch.no_grad();
        var images = _golden["in.images"].flatten(0, 1);
        var texts = _golden["in.texts"].flatten(0, 1);
        Tensor Images(ClipModel model) => ZeroShotClassifier.Normalize(model.Vision.Encode(images));
        Tensor Texts(ClipModel model) => ZeroShotClassifier.Normalize(model.Text!.Encode(texts));
        foreach (var (name, model) in new[] { ("student", student), ("teacher", teacher) })
        {
            var (image, text) = (Images(model), Texts(model));
            var metrics = PairFeatures.RanksOf(image, text, [.. Enumerable.Range(0, (int)image.shape[0])], $"{name}_clip_");
            foreach (var (key, value) in metrics)
            {
                Assert.Equal(expected.GetProperty(key).GetDouble(), value, 1e-9);
            }
        }

        var cosines = (Images(student) * Images(teacher)).sum(1);
        var (mean, median) = DistillEvaluation.Similarity(cosines);
        Assert.Equal(expected.GetProperty("similarity_mean").GetDouble(), mean, 1e-5);
        Assert.Equal(expected.GetProperty("similarity_median").GetDouble(), median, 1e-5);
    }

    [Fact]
    public void LongAndShortCaptions()
    {
        var golden = GoldenTensors.Load(MemoryGolden.Area, "long_short_loss.safetensors");
        foreach (var (prefix, weights) in new[] { ("sum", new[] { 1.0, 1.0 }), ("weighted", [0.8, 0.2]) })
        {
            var (image, scale) = (golden["image"].detach().requires_grad_(), golden["logit_scale"].detach().requires_grad_());
            var texts = torch.stack([golden["long"], golden["short"]]).requires_grad_();
            var loss = CaptionLoss.Of(image, texts, scale, weights);
            loss.Total.backward();
            GoldenTensors.AssertClose(golden["loss_long"], loss.Terms[0].detach(), 1e-5);
            GoldenTensors.AssertClose(golden["loss_short"], loss.Terms[1].detach(), 1e-5);
            GoldenTensors.AssertClose(golden[$"{prefix}.loss"], loss.Total.detach(), 1e-5);
            GoldenTensors.AssertClose(golden[$"{prefix}.grad_image"], image.grad!, 1e-5);
            GoldenTensors.AssertClose(golden[$"{prefix}.grad_long"], texts.grad![0], 1e-5);
            GoldenTensors.AssertClose(golden[$"{prefix}.grad_short"], texts.grad![1], 1e-5);
            GoldenTensors.AssertClose(golden[$"{prefix}.grad_scale"], scale.grad!, 1e-5);
        }
    }

    [Fact]
    public void EarlyStoppingDecidesAsItsTracesSay()
    {
        foreach (var trace in MemoryGolden.Read("early_stop.json").EnumerateArray())
        {
            // Of the metrics losses are minimised, the others maximised.
            var metric = trace.GetProperty("mode").GetString() == "min" ? "clip_val_loss" : "image_to_text_R@1";
            using var state = new EarlyStoppingState(new(metric, trace.GetProperty("patience").GetInt32(), trace.GetProperty("min_delta").GetDouble()));
            Assert.Equal(trace.GetProperty("mode").GetString() == "min", state.Options.IsMinimised);
            foreach (var expected in trace.GetProperty("trace").EnumerateArray())
            {
                var improved = state.Observe(expected.GetProperty("value").GetDouble(), expected.GetProperty("epoch").GetInt64());
                Assert.Equal(
                    (expected.GetProperty("improved").GetBoolean(), expected.GetProperty("best").GetDouble(), expected.GetProperty("wait").GetInt32(), expected.GetProperty("stop").GetBoolean()),
                    (improved, state.Best, state.Wait, state.IsStopped));
            }
        }
    }

    public void Dispose() => _scope.Dispose();

    private static DistillTrainingConfig Config() => new() { TrainData = "golden", Pretrained = "golden", BatchSize = 1 };

    private static DistillTask Task(ClipModel teacher, ClipModel student, DistillTrainingConfig config) => new(
        teacher, student, new OnePair(), null, new(student.Config.Vision.ImageSize.Height), new NoTexts(), config, "golden");

    private ClipBatch Batch(int index) => new(_golden["in.images"][index], _golden["in.texts"][index], "golden");
}
