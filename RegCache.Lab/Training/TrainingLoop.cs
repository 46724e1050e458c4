using System.Diagnostics;
using System.Globalization;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training;

/// <summary>
/// Runs a training to its end: logs, evaluates, saves, goes on after a kill, and stops at a loss that is not a number.
/// </summary>
/// <param name="task">What is trained.</param>
/// <param name="options">How often it logs, measures and saves.</param>
/// <param name="checkpoints">Where it saves; null saves nothing.</param>
/// <param name="logs">Makes the logs, given the steps that an earlier run has taken.</param>
/// <param name="progress">Told of the steps done.</param>
public sealed class TrainingLoop(
    ITrainingTask task,
    TrainingLoopOptions options,
    TrainingCheckpoints? checkpoints,
    Func<long, IReadOnlyList<ITrainingLog>> logs,
    IWorkProgress progress)
{
    /// <summary>Trains from the newest checkpoint, or from the beginning, to the last step.</summary>
    /// <param name="cancellation">Stops before the next step, with a checkpoint.</param>
    /// <returns>The last evaluation.</returns>
    /// <exception cref="UserException">The loss became NaN or infinite, or a file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public IReadOnlyDictionary<string, double> Run(CancellationToken cancellation = default)
    {
        var first = checkpoints?.Restore(task) ?? 0;
        if (first > 0)
        {
            progress.Message($"The training goes on after step {first}.");
        }

        var listeners = logs(first);
        try
        {
            return Run(first, listeners, cancellation);
        }
        finally
        {
            foreach (var listener in listeners)
            {
                listener.Dispose();
            }
        }
    }

    private IReadOnlyDictionary<string, double> Run(long first, IReadOnlyList<ITrainingLog> listeners, CancellationToken cancellation)
    {
        using var handle = progress.Start("training", task.Steps, "steps", first);
        using var pending = new PendingMetrics(() => checkpoints?.Newest());
        IReadOnlyDictionary<string, double> evaluation = new Dictionary<string, double>();
        for (var step = first; step < task.Steps && task.Stopping is not { IsStopped: true }; step++)
        {
            task.Prepare(step);
            if (cancellation.IsCancellationRequested)
            {
                pending.Drain();
                checkpoints?.Save(task, step);
                cancellation.ThrowIfCancellationRequested();
            }

            pending.Add(step, task.Step(step));
            var done = step + 1;
            var isLast = done == task.Steps;
            var isSaved = isLast || IsDue(done, options.SaveEvery);
            if (isLast || IsDue(done, options.LogEvery))
            {
                Tell(listeners, done, pending.Drain());
            }

            if (isLast || IsDue(done, options.EvaluateEvery))
            {
                pending.Drain();
                evaluation = task.Evaluate();
                Tell(listeners, done, evaluation);
                if (evaluation.Count > 0)
                {
                    progress.Message($"step {done}: {string.Join(", ", evaluation.Select(pair => $"{pair.Key} {InWords(pair.Value)}"))}");
                }

                isSaved |= Stops(evaluation, done);
            }

            if (isSaved)
            {
                // A step's preparation may change the state (a phase begins), so a checkpoint holds it prepared.
                pending.Drain();
                task.Prepare(Math.Min(done, task.Steps - 1));
                checkpoints?.Save(task, done);
            }

            handle.Report(done);
        }

        return evaluation.Count > 0 ? evaluation : task.Evaluate();
    }

    /// <summary>A number of an evaluation as text: four decimals, or three digits of what is too small for them, such as a learning rate.</summary>
    public static string InWords(double value) =>
        value.ToString(value != 0 && Math.Abs(value) < 1e-3 ? "0.##e0" : "0.####", CultureInfo.InvariantCulture);

    // Whether the training ends here because it no longer improves; the best one so far is saved apart.
    private bool Stops(IReadOnlyDictionary<string, double> evaluation, long done)
    {
        if (task.Stopping is not { Options.KeepsBest: true } stopping)
        {
            return false;
        }

        if (stopping.Observe(stopping.Options.ValueOf(evaluation), done))
        {
            checkpoints?.SaveBest(task, done);
            task.Improved(done);
        }

        if (stopping.IsStopped)
        {
            progress.Message($"The training stops early: {stopping}.");
        }

        return stopping.IsStopped;
    }

    private static bool IsDue(long done, int every) => every > 0 && done % every == 0;

    private static void Tell(IReadOnlyList<ITrainingLog> listeners, long step, IReadOnlyDictionary<string, double> values)
    {
        foreach (var listener in listeners)
        {
            listener.Write(step, values);
        }
    }

    /// <summary>The metrics of the steps since the last log line. Reading them waits for the device; adding them does not.</summary>
    private sealed class PendingMetrics(Func<string?> lastGood) : IDisposable
    {
        private readonly List<(long Step, StepMetrics Metrics)> _steps = [];
        private long _started = Stopwatch.GetTimestamp();

        public void Add(long step, StepMetrics metrics)
        {
            _steps.Add((step, metrics));
            if (metrics.Loss.is_cpu())
            {
                Check(step, metrics);
            }
        }

        /// <summary>The numbers of the newest step, the mean loss and the speed since the last call.</summary>
        public IReadOnlyDictionary<string, double> Drain()
        {
            if (_steps.Count == 0)
            {
                return new Dictionary<string, double>();
            }

            var losses = _steps.ConvertAll(step => Check(step.Step, step.Metrics));
            var last = _steps[^1].Metrics;
            var seconds = Stopwatch.GetElapsedTime(_started).TotalSeconds;
            var values = new OrderedDictionary<string, double>
            {
                ["train/loss"] = losses.Average(),
                ["train/lr"] = last.LearningRate,
                ["train/samples_per_second"] = _steps.Sum(step => step.Metrics.Samples) / seconds,
                ["train/batch_time"] = seconds / _steps.Count,
            };
            if (last.GradientNorm is { } norm)
            {
                values["train/gradient_norm"] = norm.ToDouble();
            }

            foreach (var (name, value) in last.Others)
            {
                values[name] = value.ToDouble();
            }

            Dispose();
            _started = Stopwatch.GetTimestamp();
            return values;
        }

        public void Dispose()
        {
            _steps.ForEach(step => step.Metrics.Dispose());
            _steps.Clear();
        }

        private double Check(long step, StepMetrics metrics)
        {
            var loss = metrics.Loss.ToDouble();
            if (double.IsFinite(loss))
            {
                return loss;
            }

            var remedy = lastGood() is { } path
                ? $"the last good checkpoint is {path}"
                : "there is no checkpoint yet";
            throw new UserException(
                $"The loss is {loss} at step {step + 1} (batch: {metrics.Batch}): {remedy}; lower the learning rate or clip the gradients.");
        }
    }
}

/// <summary>How often a training logs, measures and saves.</summary>
public sealed record TrainingLoopOptions
{
    /// <summary>Steps between two log lines; the last step is always logged.</summary>
    public int LogEvery { get; init; } = 10;

    /// <summary>Steps between two evaluations; 0 evaluates at the end only.</summary>
    public int EvaluateEvery { get; init; }

    /// <summary>Steps between two checkpoints; 0 keeps the one of the end only.</summary>
    public int SaveEvery { get; init; } = 100;
}
