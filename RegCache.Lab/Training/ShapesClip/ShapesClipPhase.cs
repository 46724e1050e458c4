namespace RegCache.Lab.Training.ShapesClip;

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
