using System.Globalization;

namespace RegCache.Lab.Training;

/// <summary>
/// Ends a training whose evaluations no longer improve. An evaluation improves when it is better than the best one by more than a minimal
/// difference; after so many in a row that do not, the training stops.
/// </summary>
/// <param name="Metric">The number of the evaluation that counts, without <c>val/</c>.</param>
/// <param name="Patience">Evaluations in a row without improvement that end the training; 0 never ends it.</param>
/// <param name="MinDelta">By how much an evaluation has to be better.</param>
public sealed record EarlyStopping(string Metric, int Patience, double MinDelta)
{
    private static readonly string[] _minimised = ["loss", "mean_rank", "median_rank"];

    /// <summary>Whether the best evaluation's checkpoint is kept apart, which early stopping does by itself.</summary>
    public bool KeepsBest { get; init; } = Patience > 0;

    /// <summary>Whether small numbers are good: losses and ranks.</summary>
    public bool IsMinimised => _minimised.Any(end => Metric.EndsWith(end, StringComparison.Ordinal));

    /// <summary>The number of an evaluation that counts.</summary>
    /// <exception cref="UserException">The evaluation does not measure it.</exception>
    public double ValueOf(IReadOnlyDictionary<string, double> evaluation) => evaluation.TryGetValue($"val/{Metric}", out var value)
        ? value
        : throw NotMeasured([.. evaluation.Keys.Select(name => name.Replace("val/", "", StringComparison.Ordinal))]);

    /// <summary>Refuses a metric that no evaluation will measure.</summary>
    /// <param name="measured">The names of what is measured, without <c>val/</c>; empty when nothing is.</param>
    /// <exception cref="UserException">The metric is not among them.</exception>
    public void Require(IReadOnlyCollection<string> measured)
    {
        if (Patience > 0 && !measured.Contains(Metric))
        {
            throw NotMeasured(measured);
        }
    }

    private UserException NotMeasured(IReadOnlyCollection<string> measured) => new(measured.Count == 0
        ? $"Early stopping watches `{Metric}`, but nothing is evaluated: give validation data (`val_data`), or turn early stopping off (`early_stop_patience` 0)."
        : $"Early stopping watches `{Metric}`, which the evaluation does not measure (`early_stop_metric`); it measures {string.Join(", ", measured)}.");
}

/// <summary>How far early stopping has come; part of a training's checkpoints.</summary>
/// <param name="options">The rule.</param>
public sealed class EarlyStoppingState(EarlyStopping options) : IDisposable
{
    // Best value (NaN before the first), its step, evaluations since, whether it has stopped: doubles survive a checkpoint to the bit.
    private readonly Tensor _state = torch.tensor(new[] { double.NaN, 0, 0, 0 }, dtype: torch.ScalarType.Float64).DetachFromDisposeScope();

    /// <summary>The rule.</summary>
    public EarlyStopping Options => options;

    /// <summary>The best value so far; NaN before the first evaluation.</summary>
    public double Best => _state.data<double>()[0];

    /// <summary>Steps taken at the best evaluation.</summary>
    public long BestStep => (long)_state.data<double>()[1];

    /// <summary>Evaluations since the best one.</summary>
    public int Wait => (int)_state.data<double>()[2];

    /// <summary>Whether the training is to end.</summary>
    public bool IsStopped => _state.data<double>()[3] != 0;

    /// <summary>What a checkpoint holds.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State => [new("early_stopping", _state)];

    /// <summary>Takes in an evaluation.</summary>
    /// <param name="value">The number that counts.</param>
    /// <param name="step">Steps taken so far.</param>
    /// <returns>Whether it improved.</returns>
    public bool Observe(double value, long step)
    {
        var best = Best;
        var improves = double.IsNaN(best) || (options.IsMinimised ? value < best - options.MinDelta : value > best + options.MinDelta);
        var wait = improves ? 0 : Wait + 1;
        double[] next = improves ? [value, step, 0, 0] : [best, BestStep, wait, options.Patience > 0 && wait >= options.Patience ? 1 : 0];
        using var fresh = torch.tensor(next, dtype: torch.ScalarType.Float64);
        _state.copy_(fresh);
        return improves;
    }

    /// <summary>One sentence about the best evaluation.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"best {options.Metric} {Best:0.####} after step {BestStep}, {Wait} evaluations since{(IsStopped ? "; stopped" : "")}");

    /// <inheritdoc />
    public void Dispose() => _state.Dispose();
}
