using System.Text.Json.Serialization;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Training.ShapesClip;

/// <summary>The recipe of the demo model (demo-model.md, section 3).</summary>
public sealed record ShapesClipOptions
{
    /// <summary>Seed of the weights and of the order of the data.</summary>
    public long Seed { get; init; }

    /// <summary>Seed of the generated images.</summary>
    public long DataSeed { get; init; }

    /// <summary>Number of training images.</summary>
    public int TrainImages { get; init; } = 40_000;

    /// <summary>Validation images that evaluation during training uses.</summary>
    public int ValidationImages { get; init; } = 480;

    /// <summary>Gradients are scaled down to this norm.</summary>
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>Sharpness-aware minimisation; null trains the ordinary way.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SamOptions? Sharpness { get; init; }

    /// <summary>The phases, in order.</summary>
    public required IReadOnlyList<ShapesClipPhase> Phases { get; init; }

    /// <summary>The recipe of the shipped model: about half an hour on two cores.</summary>
    public static ShapesClipOptions Full { get; } = new()
    {
        Phases =
        [
            new() { Steps = 1200, SingleObjectSteps = 480, FullTokenSteps = 120 },
            new()
            {
                Steps = 500,
                BatchSize = 96,
                LearningRate = 1e-3,
                WarmupSteps = 40,
                FullTokenSteps = 500,
                Registers = new() { Steps = 380 },
            },
        ],
    };

    /// <summary>A short training that learns colours and some shapes, for tests: no registers, one to two minutes.</summary>
    public static ShapesClipOptions Quick { get; } = new()
    {
        TrainImages = 4_000,
        ValidationImages = 192,
        Phases = [new() { Steps = 120, BatchSize = 64, WarmupSteps = 20, SingleObjectSteps = 120, MaxTokens = 30 }],
    };
}

/// <summary>One phase of the demo model's training: its own optimiser, learning-rate curve and patch dropout.</summary>
public sealed record ShapesClipPhase
{
    /// <summary>Optimiser steps.</summary>
    public required int Steps { get; init; }

    /// <summary>Images in a batch.</summary>
    public int BatchSize { get; init; } = 128;

    /// <summary>Learning rate after the warm-up.</summary>
    public double LearningRate { get; init; } = 1.5e-3;

    /// <summary>Steps of the warm-up.</summary>
    public int WarmupSteps { get; init; } = 80;

    /// <summary>The share of the learning rate that is left at the end of the cosine.</summary>
    public double EndShare { get; init; } = 0.03;

    /// <summary>Steps at the beginning that see images of one object only.</summary>
    public int SingleObjectSteps { get; init; }

    /// <summary>Steps at the end that see all patches; before them patches are dropped.</summary>
    public int FullTokenSteps { get; init; }

    /// <summary>Fewest patches that a step keeps.</summary>
    public int MinTokens { get; init; } = 26;

    /// <summary>Most patches that a step keeps, before <see cref="FullTokenSteps"/>.</summary>
    public int MaxTokens { get; init; } = 42;

    /// <summary>The register losses of the phase; null trains plain CLIP.</summary>
    public RegisterLossOptions? Registers { get; init; }
}

/// <summary>
/// The architecture and the initial weights of the demo model (demo-model.md, section 2): OpenCLIP's two towers, tiny. The
/// text tower is causal and pools at the highest id, <c>&lt;eos&gt;</c>, so that OpenCLIP's own code runs the model.
/// </summary>
public static class ShapesClipArchitecture
{
    private const int ContextLength = 20;
    private const double InitLogitScale = 2.302585092994046;

    /// <summary>The tokenizer: one id a word of the captions.</summary>
    public static WordTokenizer Tokenizer { get; } = new(ShapesVocabulary.Words, ContextLength);

    /// <summary>The model's configuration.</summary>
    public static ClipConfig Config { get; } = new()
    {
        EmbedDim = 96,
        Vision = new()
        {
            Layers = 6, Width = 96, HeadWidth = 24, PatchSize = 8, ImageSize = (ShapesScene.Side, ShapesScene.Side),
        },
        Text = new()
        {
            Layers = 2, Width = 96, Heads = 4, ContextLength = ContextLength, VocabSize = Tokenizer.VocabSize,
        },
        InitLogitScale = InitLogitScale,
    };

    /// <summary>
    /// Initial weights: Gaussian, with 0.5 / sqrt(fan-in) for the vision layers that write to the residual stream,
    /// 0.8 / sqrt(fan-in) for the other vision layers and 0.7 / sqrt(fan-in) for the text tower; the patch positions begin as a
    /// strong two-dimensional sine table, without which the model learns no shapes.
    /// </summary>
    /// <param name="seed">Seed of the weights.</param>
    public static WeightTable Initialize(long seed) => new(
        $"initial weights of seed {seed}",
        ClipParameters.Of(Config).Select((parameter, index) => KeyValuePair.Create(
            parameter.Name, Initial(parameter.Name, parameter.Shape, CounterRandom.Of(seed, purpose: 100, index)))));

    private static Tensor Initial(string name, long[] shape, CounterRandom random)
    {
        if (name == "visual.positional_embedding")
        {
            return torch.tensor(SinePositions(), shape);
        }

        var values = new float[shape.Aggregate(1L, (product, size) => product * size)];
        if (name == "logit_scale")
        {
            values[0] = (float)InitLogitScale;
        }
        else if (name.Contains("ln_", StringComparison.Ordinal))
        {
            values.AsSpan().Fill(name.EndsWith("weight", StringComparison.Ordinal) ? 1 : 0);
        }
        else if (!name.EndsWith("bias", StringComparison.Ordinal))
        {
            random.FillNormal(values, (float)Deviation(name, shape));
        }

        return torch.tensor(values, shape);
    }

    private static double Deviation(string name, long[] shape) => name switch
    {
        "visual.class_embedding" or "positional_embedding" => 0.02,
        "token_embedding.weight" => 0.3,
        "visual.proj" => 0.8 / Math.Sqrt(shape[0]),
        "text_projection" => 0.7 / Math.Sqrt(shape[0]),
        _ => Gain(name) / Math.Sqrt(shape[1..].Aggregate(1L, (product, size) => product * size)),
    };

    private static double Gain(string name) =>
        !name.StartsWith("visual.", StringComparison.Ordinal) ? 0.7
        : name.Contains("out_proj", StringComparison.Ordinal) || name.Contains("c_proj", StringComparison.Ordinal) ? 0.5
        : 0.8;

    // Row 0 belongs to the class token; then one row a patch: sin y, cos y, sin x, cos x at 24 frequencies each.
    private static float[] SinePositions()
    {
        var (grid, width) = (Config.Vision.Grid, Config.Vision.Width);
        var frequencies = width / 4;
        var table = new float[(Config.Vision.Patches + 1) * width];
        for (var patch = 0; patch < Config.Vision.Patches; patch++)
        {
            var (y, x) = Math.DivRem(patch, grid.Width);
            var row = table.AsSpan((patch + 1) * width, width);
            for (var index = 0; index < frequencies; index++)
            {
                var frequency = 2 * Math.Pow(1.0 / 20, (double)index / frequencies);
                row[index] = (float)(0.5 * Math.Sin(y * frequency));
                row[frequencies + index] = (float)(0.5 * Math.Cos(y * frequency));
                row[(2 * frequencies) + index] = (float)(0.5 * Math.Sin(x * frequency));
                row[(3 * frequencies) + index] = (float)(0.5 * Math.Cos(x * frequency));
            }
        }

        return table;
    }
}
