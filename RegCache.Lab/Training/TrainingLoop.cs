using System.Diagnostics;
using System.Globalization;
using RegCache.Lab.Distributed;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training;

/// <summary>
/// Runs a training to its end: logs, evaluates, saves, goes on after a kill, and stops at a loss that is not a number. Of several processes all
/// take the same steps; the first one reads and writes the files.
/// </summary>
/// <param name="task">What is trained.</param>
/// <param name="options">How often it logs, measures and saves.</param>
/// <param name="checkpoints">Where it saves; null saves nothing.</param>
/// <param name="logs">Makes the logs, given the steps that an earlier run has taken.</param>
/// <param name="progress">Told of the steps done.</param>
/// <param name="processes">The processes that train together; null for one.</param>
public sealed class TrainingLoop(
    ITrainingTask task,
    TrainingLoopOptions options,
    TrainingCheckpoints? checkpoints,
    Func<long, IReadOnlyList<ITrainingLog>> logs,
    IWorkProgress progress,
    IProcessGroup? processes = null)
{
    private readonly IProcessGroup _processes = processes ?? SingleProcess.Instance;

    /// <summary>Trains from the newest checkpoint, or from the beginning, to the last step.</summary>
    /// <param name="cancellation">Stops before the next step, with a checkpoint.</param>
    /// <returns>The last evaluation.</returns>
    /// <exception cref="UserException">The loss became NaN or infinite, or a file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public IReadOnlyDictionary<string, double> Run(CancellationToken cancellation = default)
    {
        var first = Restore();
        if (first > 0)
        {
            progress.Message($"The training goes on after step {first}.");
        }

        var listeners = _processes.Rank == 0 ? logs(first) : [];
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

    // One process reads the checkpoint: its folder may be that of one machine.
    private long Restore()
    {
        var first = _processes.Rank == 0 ? checkpoints?.Restore(task) ?? 0 : 0;
        if (_processes.Size > 1)
        {
            first = (long)_processes.FromFirst(first);
            task.Prepare(Math.Min(first, task.Steps - 1));
            _processes.BroadcastAll(task.State.Select(pair => pair.Value));
        }

        return first;
    }

    private IReadOnlyDictionary<string, double> Run(long first, IReadOnlyList<ITrainingLog> listeners, CancellationToken cancellation)
    {
        using var handle = progress.Start("training", task.Steps, "steps", first);
        using var pending = new PendingMetrics(_processes, progress, () => checkpoints?.Newest());
        IReadOnlyDictionary<string, double> evaluation = new Dictionary<string, double>();
        for (var step = first; step < task.Steps && task.Stopping is not { IsStopped: true }; step++)
        {
            task.Prepare(step);
            if (_processes.Any(cancellation.IsCancellationRequested))
            {
                pending.Drain();
                Save(step);
                throw new OperationCanceledException(cancellation);
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
                evaluation = Evaluate();
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
                Save(done);
            }

            handle.Report(done);
        }

        return evaluation.Count > 0 ? evaluation : Evaluate();
    }

    private void Save(long step)
    {
        if (_processes.Rank == 0)
        {
            checkpoints?.Save(task, step);
        }
    }

    // All decide by the first process's numbers, whatever the last bits of the others' are.
    private IReadOnlyDictionary<string, double> Evaluate()
    {
        var measured = task.Evaluate();
        if (_processes.Size == 1 || measured.Count == 0)
        {
            return measured;
        }

        using var values = torch.tensor(measured.Values.ToArray());
        _processes.Broadcast(values);
        return new OrderedDictionary<string, double>(measured.Keys.Zip(values.data<double>().ToArray(), KeyValuePair.Create));
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

        if (stopping.Observe(stopping.Options.ValueOf(evaluation), done) && _processes.Rank == 0)
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
    private sealed class PendingMetrics(IProcessGroup processes, IWorkProgress progress, Func<string?> lastGood) : IDisposable
    {
        // A process is slow when it computes so much longer than the one in the middle, in so many log lines in a row.
        private const double Slow = 1.25;
        private const int Lines = 3;

        private readonly List<(long Step, StepMetrics Metrics)> _steps = [];
        private readonly string[] _machines = processes.GatherTexts(processes.Machine);
        private long _started = Stopwatch.GetTimestamp();
        private TimeSpan _waited = processes.Waited;
        private (int Process, int Times) _slow = (-1, 0);

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
            var computing = (seconds - (processes.Waited - _waited).TotalSeconds) / _steps.Count;
            var all = processes.GatherNumbers(
                [losses.Average(), _steps.Sum(step => step.Metrics.Samples), computing, .. last.Others.Values.Select(value => value.ToDouble())]);
            var values = new OrderedDictionary<string, double>
            {
                ["train/loss"] = all.Average(process => process[0]),
                ["train/lr"] = last.LearningRate,
                ["train/samples_per_second"] = all.Sum(process => process[1]) / seconds,
                ["train/batch_time"] = seconds / _steps.Count,
            };
            if (last.GradientNorm is { } norm)
            {
                values["train/gradient_norm"] = norm.ToDouble();
            }

            foreach (var (index, name) in last.Others.Keys.Index())
            {
                values[name] = all.Average(process => process[3 + index]);
            }

            CompareProcesses(values, [.. all.Select(process => process[2])]);
            Dispose();
            (_started, _waited) = (Stopwatch.GetTimestamp(), processes.Waited);
            return values;
        }

        // How long the processes compute in a step, without waiting for each other; all wait for the slowest.
        private void CompareProcesses(OrderedDictionary<string, double> values, double[] seconds)
        {
            if (seconds.Length == 1)
            {
                return;
            }

            var (middle, slowest) = (seconds.Order().ElementAt((seconds.Length - 1) / 2), Array.IndexOf(seconds, seconds.Max()));
            values["train/compute_time"] = middle;
            values["train/compute_time_slowest"] = seconds[slowest];
            values["train/slowest_process"] = slowest;
            var times = seconds[slowest] <= Slow * middle ? 0 : _slow.Process == slowest ? _slow.Times + 1 : 1;
            _slow = (slowest, times);
            if (times == Lines)
            {
                progress.Message(string.Create(
                    CultureInfo.InvariantCulture,
                    $"Process {slowest} on {_machines[slowest]} is slow: it computes {seconds[slowest]:0.000} s in a step, others {middle:0.000} s, and all wait for it."));
            }
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
