using System.Text.Json;
using RegCache.Lab.Cli;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Training;
using RegCache.Lab.Training.ShapesClip;

namespace RegCache.Lab.Tests.Training;

public sealed class ShapesClipTests : IDisposable
{
    private const double ChancePercent = 100.0 / 48;
    private readonly string _folder = Directory.CreateTempSubdirectory("shapes-clip-").FullName;

    [Fact]
    [Trait("Category", "Slow")]
    public void TheQuickTrainingLearnsAndItsModelLoadsLikeAnyOther()
    {
        var host = new CommandHost(KitCommand.All());
        Assert.Equal(0, host.Run(["train", "shapes-clip", "--quick", "--run-dir", _folder, "--report-to", "tensorboard"]));
        var last = File.ReadAllLines(Path.Combine(_folder, "log.jsonl")).Last(line => line.Contains("val/top1", StringComparison.Ordinal));
        using var log = JsonDocument.Parse(last);
        var logged = log.RootElement.GetProperty("val/top1").GetDouble();
        Assert.True(logged > 4 * ChancePercent, $"{logged} % is no better than chance");
        Assert.Single(Directory.GetFiles(Path.Combine(_folder, "tensorboard")));

        using var clip = LoadedClip.Load(Path.Combine(_folder, "model"));
        var tokenizer = clip.RequireTokenizer();
        using var classifier = ZeroShotClassifier.FromPrompts(
            clip.Model.Text!,
            texts => TorchSharp.torch.tensor(tokenizer.EncodeBatch(texts), [texts.Count, tokenizer.ContextLength]),
            ShapesVocabulary.Classes,
            ShapesVocabulary.Templates);
        var images = new ShapesImageSource(ShapesSet.Generate(ShapesSplit.Validation, 192));
        var score = PlanEvaluation.Run(
            clip.Model.Vision, classifier, images, new([EncoderPlan.Plain(clip.Model.Vision.Blocks.Count)]), new("test", 64))[0];

        // The file holds half precision: a prediction or two may flip.
        Assert.InRange(score.Accuracy, logged - 1.6, logged + 1.6);
        Assert.Equal(0.5f, clip.Preprocess.Mean.Red);
    }

    [Fact]
    public void SharpnessAwareStepsFollowTheGradientUphill()
    {
        using var scope = torch.NewDisposeScope();
        var (plain, still, uphill) = (Weight(null), Weight(new(1e-9)), Weight(new(0.5)));
        Assert.True((plain - still).abs().max().item<float>() < 1e-5f);
        Assert.True((plain - uphill).abs().max().item<float>() > 1e-4f);

        static Tensor Weight(SamOptions? sharpness)
        {
            var phase = new ShapesClipPhase { Steps = 3, BatchSize = 16, WarmupSteps = 0, MaxTokens = 30 };
            using var task = new ShapesClipTask(new() { TrainImages = 64, ValidationImages = 48, Phases = [phase], Sharpness = sharpness });
            for (var step = 0; step < phase.Steps; step++)
            {
                task.Prepare(step);
                task.Step(step);
            }

            return task.Model.Weights["visual.proj"].detach().clone();
        }
    }

    [Fact]
    public void PlantedStructureIsWhatTheRecipeSays()
    {
        using var weights = ShapesClipArchitecture.Initialize(0);
        var planted = new PlantedRegisters(weights);
        planted.Plant();
        float[] Row(int block, string name, int row) => weights[$"visual.transformer.resblocks.{block}.{name}"][row].data<float>().ToArray();
        float[] Column(int block) => weights[$"visual.transformer.resblocks.{block}.mlp.c_proj.weight"].select(1, 0).contiguous().data<float>().ToArray();
        Assert.Equal([8f, -8f], Column(PlantedRegisters.MarkBlock)[..2]);
        Assert.All(Column(PlantedRegisters.MarkBlock)[2..], value => Assert.Equal(0, value));
        Assert.All(Row(0, "attn.out_proj.weight", 1), value => Assert.Equal(0, value));
        Assert.All(Row(3, "mlp.c_fc.weight", 0)[2..], value => Assert.Equal(0, value));
        Assert.Equal(0, Row(3, "mlp.c_fc.weight", 0)[..2].Sum());

        planted.Sharpen();
        Assert.Equal(1200f, Row(2, "mlp.c_fc.weight", 0)[0]);
        Assert.Equal(0f, Row(5, "mlp.c_fc.weight", 0)[0]);
        Assert.All(Column(5), value => Assert.Equal(0, value));
    }

    [Fact]
    public void InformationOfPatchesIsHighWhereTheObjectIs()
    {
        var set = ShapesSet.Generate(ShapesSplit.Test, 48);
        var (inside, outside) = (0, 0);
        for (var index = 0; index < set.Count; index++)
        {
            var scene = set.Samples[index].Scene;
            if (scene.Background.Kind != BackgroundKind.Plain)
            {
                continue;
            }

            var scores = new float[64];
            PatchInformation.Score(set.Image(index), 8, scores);
            var best = Array.IndexOf(scores, scores.Max());
            var (dx, dy) = ((best % 8 * 8) + 4 - scene.First.CenterX, (best / 8 * 8) + 4 - scene.First.CenterY);
            if (Math.Sqrt((dx * dx) + (dy * dy)) < scene.First.Radius + 6)
            {
                inside++;
            }
            else
            {
                outside++;
            }
        }

        Assert.True(inside > 5);
        Assert.Equal(0, outside);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
