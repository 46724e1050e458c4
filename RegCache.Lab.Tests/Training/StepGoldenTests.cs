using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Tests.Encoders;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;
using TorchSharp;

namespace RegCache.Lab.Tests.Training;

[Trait("Category", "Golden")]
public class StepGoldenTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void GradientsOfAllParameters(bool checkpointing)
    {
        var golden = GoldenTensors.Load("clip", "tiny_clip_grads.safetensors");
        var acts = GoldenTensors.Load("clip", "tiny_clip_acts.safetensors");
        using var model = Trainable();
        using var loss = Accumulate(
            model, new() { GradientCheckpointing = checkpointing }, new ClipBatch(acts["in.image"], acts["in.text"], "golden"));
        GoldenTensors.AssertClose(golden["loss"], loss, 2e-4);
        AssertGradients(golden, model, 1e-3);
    }

    [Fact]
    public void AccumulationWithCachedFeatures()
    {
        var golden = GoldenTensors.Load("clip", "accum.safetensors");
        var steps = GoldenTensors.Load("clip", "train_steps.safetensors");
        var size = steps["in.images"].shape[1] / MicroBatches();
        var batches = Enumerable.Range(0, MicroBatches()).Select(part => new ClipBatch(
            steps["in.images"][0].narrow(0, part * size, size), steps["in.texts"][0].narrow(0, part * size, size), "golden")).ToArray();
        foreach (var checkpointing in new[] { false, true })
        {
            using var model = Trainable();
            using var loss = Accumulate(model, new() { GradientCheckpointing = checkpointing }, batches);
            GoldenTensors.AssertClose(golden["loss"], loss, 2e-4);
            AssertGradients(golden, model, 0);
        }

        using var exact = Trainable();
        using var exactLoss = Accumulate(exact, new() { RepeatScaleGradient = false }, batches);
        GoldenTensors.AssertClose(golden["full_batch_grad.logit_scale"], exact.Weights["logit_scale"].grad!, 2e-4);
    }

    [Fact]
    public void OptimizerSteps()
    {
        var golden = GoldenTensors.Load("clip", "train_steps.safetensors");
        var settings = OptimizationGoldenTests.Read("train_steps.json");
        var betas = settings.GetProperty("betas").EnumerateArray().Select(beta => beta.GetDouble()).ToArray();
        using var model = Trainable();
        using var optimizer = new AdamW(
            ParameterGroups.Of(model.Weights, settings.GetProperty("weight_decay").GetDouble()),
            new(betas[0], betas[1], settings.GetProperty("eps").GetDouble()));
        var schedule = new CosineSchedule(
            settings.GetProperty("lr").GetDouble(), settings.GetProperty("warmup").GetInt64(), settings.GetProperty("total_steps").GetInt64());
        var batches = golden["in.images"].shape[0];
        foreach (var (step, expected) in settings.GetProperty("steps").EnumerateArray().Index())
        {
            var batch = new ClipBatch(golden["in.images"][step % batches], golden["in.texts"][step % batches], "golden");
            optimizer.ZeroGradients();
            using var loss = Accumulate(model, new(), batch);
            using var norm = optimizer.GradientNorm();
            Assert.Equal(expected.GetProperty("lr").GetDouble(), schedule.At(step), 1e-12);
            optimizer.Step(schedule.At(step), norm, settings.GetProperty("grad_clip_norm").GetDouble());
            ClipTask.ClampLogitScale(model);
            Assert.Equal(expected.GetProperty("loss").GetDouble(), loss.ToDouble(), 1e-3);
            Assert.Equal(1, norm.ToDouble() / expected.GetProperty("grad_norm").GetDouble(), 1e-3);
            Assert.Equal(expected.GetProperty("logit_scale").GetDouble(), model.LogitScale!.ToDouble(), 2e-4);
        }

        foreach (var (name, expected) in golden.Where(pair => pair.Key.StartsWith("final.", StringComparison.Ordinal)))
        {
            GoldenTensors.AssertClose(expected, model.Weights[name["final.".Length..]].detach(), 2e-4);
        }
    }

    // Every `grad.<param>` of a file. That of the token table may be stored for the rows that the texts touch; all others are zero.
    private static void AssertGradients(Dictionary<string, torch.Tensor> golden, ClipModel model, double relative)
    {
        const string prefix = "grad.", rows = ".rows", values = ".values";
        var names = golden.Keys.Where(key => key.StartsWith(prefix, StringComparison.Ordinal)).Select(key => key[prefix.Length..]).ToList();
        Assert.NotEmpty(names);
        foreach (var name in names.Where(name => !name.EndsWith(rows, StringComparison.Ordinal)))
        {
            if (!name.EndsWith(values, StringComparison.Ordinal))
            {
                GoldenTensors.AssertClose(golden[prefix + name], model.Weights[name].grad!, 2e-4, relative);
                continue;
            }

            var table = name[..^values.Length];
            var dense = torch.zeros_like(model.Weights[table]).index_copy(0, golden[prefix + table + rows], golden[prefix + name]);
            GoldenTensors.AssertClose(dense, model.Weights[table].grad!, 2e-4, relative);
        }
    }

    private static int MicroBatches()
    {
        using var file = WeightFile.Open(Goldens.Path("clip", "accum.safetensors"));
        return JsonDocument.Parse(file.Metadata["micro_losses"]).RootElement.GetArrayLength();
    }

    private static ClipModel Trainable()
    {
        var model = TinyClip.Load();
        foreach (var name in model.Weights.Names)
        {
            model.Weights[name].requires_grad = true;
        }

        return model;
    }

    private static torch.Tensor Accumulate(ClipModel model, ClipStepOptions options, params ClipBatch[] batches) =>
        new ClipGradients(model, options).Accumulate(batches, CounterRandom.Of(0, 0, 0)).Total;
}
