using System.Text.Json.Serialization;

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
