using RegCache.Lab.Reports;

namespace RegCache.Lab.Evaluation;

/// <summary>How a pass over a set of images is done.</summary>
/// <param name="Title">What the progress display calls it.</param>
/// <param name="BatchSize">Images in a batch.</param>
public sealed record EvaluationRun(string Title, int BatchSize)
{
    /// <summary>Told of the images done.</summary>
    public IWorkProgress Progress { get; init; } = SilentProgress.Instance;

    /// <summary>Where the state of the pass is kept, so that a killed run goes on; null keeps none.</summary>
    public StageCheckpoint<PassState>? Checkpoint { get; init; }

    /// <summary>Stops the pass.</summary>
    public CancellationToken Cancellation { get; init; }
}
