using RegCache.Lab.Distributed;

namespace RegCache.Lab.Training;

/// <summary>
/// Something that is trained step by step: the seam between <see cref="TrainingLoop"/>, which logs, saves, resumes and stops, and
/// a system, which knows its model, data and loss.
/// </summary>
/// <remarks>
/// <para>
/// How to write one. The constructor takes a model, its data and a record of options. It sets <c>requires_grad</c> on the tensors
/// that are trained and makes an <see cref="Optimizer"/>, such as <see cref="AdamW"/>, over <see cref="ParameterGroups.Of"/> of the model's weights; tensors without
/// the flag stay frozen. A <see cref="LearningRateSchedule"/>, a <see cref="WeightAverage"/> and a <see cref="SamTraining"/> join
/// where they are wanted.
/// </para>
/// <para><see cref="Step"/> is one <c>TensorScope.Run</c> that</para>
/// <list type="number">
/// <item>makes the batch of the step, with random numbers from <c>CounterRandom.Of(seed, purpose, step)</c> alone,</item>
/// <item>forgets the old gradients (<see cref="Optimizer.ZeroGradients"/>), computes the loss and calls <c>backward()</c>,</item>
/// <item>where several processes train, averages their gradients (<see cref="GradientAverage"/>),</item>
/// <item>takes <see cref="Optimizer.GradientNorm"/> and hands it to <see cref="Optimizer.Step"/> with the learning rate of the step,</item>
/// <item>updates the average, if there is one, and returns the detached loss in a <see cref="StepMetrics"/>.</item>
/// </list>
/// <para>
/// <see cref="State"/> is all that a checkpoint holds: the weights, then the <c>State</c> of the optimiser and of the average. A
/// task has no other memory. A training that is resumed at step n with this state computes, bit for bit, what an unbroken one
/// computes. So random numbers, the order of the data, the learning rate and the phase are functions of the step's number, and
/// <see cref="Prepare"/> tells the optimiser how many steps lie behind it (<see cref="Optimizer.Resume"/>). A test that breaks a
/// training off and resumes it is worth its few lines.
/// </para>
/// <para>
/// The smallest task is <c>CountingTask</c> in the tests of the loop. <c>ShapesClip/ShapesClipTask.cs</c> shows phases with an
/// optimiser each; <c>Clip/PairTask.cs</c> shows micro-batches, an average and sharpness-aware steps.
/// </para>
/// </remarks>
public interface ITrainingTask
{
    /// <summary>Number of optimiser steps of the whole training.</summary>
    long Steps { get; }

    /// <summary>Identifies data, model and options, usually by their hash: a checkpoint of another training is refused.</summary>
    string Fingerprint { get; }

    /// <summary>Every tensor that the next step depends on, by name; valid after <see cref="Prepare"/>.</summary>
    IEnumerable<KeyValuePair<string, Tensor>> State { get; }

    /// <summary>
    /// Keeps the best evaluation, and ends the training when evaluations no longer improve; part of <see cref="State"/>. Null: neither.
    /// </summary>
    EarlyStoppingState? Stopping => null;

    /// <summary>
    /// Gets ready to take a step, so that <see cref="State"/> has the tensors that belong to it. Called before every step and before
    /// a checkpoint is read into the state, so that a second call for the same step changes nothing.
    /// </summary>
    /// <param name="step">The step, from 0.</param>
    void Prepare(long step);

    /// <summary>Takes one step.</summary>
    /// <param name="step">The step, from 0; it has been prepared.</param>
    /// <returns>What to log; the loop disposes it.</returns>
    StepMetrics Step(long step);

    /// <summary>Called after an evaluation that is the best so far, where <see cref="Stopping"/> keeps the best.</summary>
    /// <param name="done">Steps taken so far.</param>
    void Improved(long done)
    {
    }

    /// <summary>Measures the model as it is.</summary>
    /// <returns>Numbers by name, for example <c>val/top1</c>; empty when there is nothing to measure.</returns>
    IReadOnlyDictionary<string, double> Evaluate();
}

/// <summary>
/// What a step tells. Tensors stay on their device until somebody reads them, so that a step need not wait for the device.
/// </summary>
/// <remarks>Of several processes each tells its own; what is logged is the mean of their losses and other numbers.</remarks>
/// <param name="Loss">The loss, detached, [].</param>
/// <param name="LearningRate">The learning rate of the step.</param>
/// <param name="Samples">Images that this process saw in the step.</param>
public sealed record StepMetrics(Tensor Loss, double LearningRate, int Samples) : ITensorHolder, IDisposable
{
    /// <summary>Norm of the gradients before clipping, []; null when it was not computed.</summary>
    public Tensor? GradientNorm { get; init; }

    /// <summary>More numbers by name, each [] or [1].</summary>
    public IReadOnlyDictionary<string, Tensor> Others { get; init; } = new Dictionary<string, Tensor>();

    /// <summary>Which samples the step saw, for the message about a loss that is not a number.</summary>
    public string Batch { get; init; } = "";

    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => GradientNorm is null ? [Loss, .. Others.Values] : [Loss, GradientNorm, .. Others.Values];

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var tensor in Tensors)
        {
            tensor.Dispose();
        }
    }
}
