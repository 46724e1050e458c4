namespace RegCache.Lab.Training.Loop;

/// <summary>Where the numbers of a training go.</summary>
public interface ITrainingLog : IDisposable
{
    /// <summary>Writes numbers that belong to a step.</summary>
    /// <param name="step">Optimiser steps taken so far.</param>
    /// <param name="values">Numbers by name, for example <c>train/loss</c>.</param>
    void Write(long step, IReadOnlyDictionary<string, double> values);
}
