using System.Text.Json.Serialization;

namespace RegCache.Lab.Training.ShapesClip;

/// <summary>The recipe of the demo model's training (docs/methods/shapes.md).</summary>
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

/// <summary>The temporary losses that make some patches registers; see <see cref="PlantedRegisters"/>.</summary>
public sealed record RegisterLossOptions
{
    /// <summary>Steps during which the losses act, from the beginning of the phase.</summary>
    public required int Steps { get; init; }

    /// <summary>How many positions of the patch grid may be marked; where they are is learned.</summary>
    public int Positions { get; init; } = 7;

    /// <summary>Steps over which the wanted pre-activation rises from 0.</summary>
    public int RampSteps { get; init; } = 120;

    /// <summary>The wanted pre-activation of the mark neuron on marked patches.</summary>
    public double MarkedLevel { get; init; } = 8;

    /// <summary>The pre-activation that unmarked patches should stay below.</summary>
    public double UnmarkedLevel { get; init; } = -1;

    /// <summary>Weight of the reward of marked patches.</summary>
    public double MarkedWeight { get; init; } = 0.3;

    /// <summary>Weight of the mean over the unmarked patches.</summary>
    public double UnmarkedWeight { get; init; } = 0.3;

    /// <summary>Weight of the worst unmarked patch of each image.</summary>
    public double WorstUnmarkedWeight { get; init; } = 0.1;

    /// <summary>Weight of the wish that later blocks attend to marked patches.</summary>
    public double SinkWeight { get; init; } = 0.5;

    /// <summary>The wanted share of attention that goes to marked patches.</summary>
    public double SinkShare { get; init; } = 0.3;
}
