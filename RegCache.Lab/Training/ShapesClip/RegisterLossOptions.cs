namespace RegCache.Lab.Training.ShapesClip;

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
