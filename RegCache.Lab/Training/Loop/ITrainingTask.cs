namespace RegCache.Lab.Training.Loop;

/// <summary>
/// Something that is trained step by step. A step must be a function of <see cref="State"/> and the step's number alone: random
/// numbers and data order come from the number, so a resumed training takes the steps that it would have taken.
/// </summary>
public interface ITrainingTask
{
    /// <summary>Number of optimiser steps of the whole training.</summary>
    long Steps { get; }

    /// <summary>Identifies data, model and settings: a checkpoint of another training is refused.</summary>
    string Fingerprint { get; }

    /// <summary>Every tensor that the next step depends on, by name; valid after <see cref="Prepare"/>.</summary>
    IEnumerable<KeyValuePair<string, Tensor>> State { get; }

    /// <summary>Gets ready to take a step: the state has the tensors that it needs afterwards.</summary>
    /// <param name="step">The step, from 0.</param>
    void Prepare(long step);

    /// <summary>Takes one step.</summary>
    /// <param name="step">The step, from 0; it follows the last one.</param>
    /// <returns>What to log; the loop disposes it.</returns>
    StepMetrics Step(long step);

    /// <summary>Measures the model as it is.</summary>
    /// <returns>Numbers by name, for example <c>val/top1</c>.</returns>
    IReadOnlyDictionary<string, double> Evaluate();
}
