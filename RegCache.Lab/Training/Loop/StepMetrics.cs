namespace RegCache.Lab.Training.Loop;

/// <summary>
/// What a step tells. Tensors stay on their device until somebody reads them, so that a step need not wait for the device.
/// </summary>
/// <param name="Loss">The loss, [].</param>
/// <param name="LearningRate">The learning rate of the step.</param>
/// <param name="Samples">Images that the step saw.</param>
public sealed record StepMetrics(Tensor Loss, double LearningRate, int Samples) : IDisposable
{
    /// <summary>Norm of the gradients before clipping, []; null when it was not computed.</summary>
    public Tensor? GradientNorm { get; init; }

    /// <summary>More numbers by name, each [] or [1].</summary>
    public IReadOnlyDictionary<string, Tensor> Others { get; init; } = new Dictionary<string, Tensor>();

    /// <summary>Which samples the step saw, for the message about a loss that is not a number.</summary>
    public string Batch { get; init; } = "";

    /// <inheritdoc />
    public void Dispose()
    {
        Loss.Dispose();
        GradientNorm?.Dispose();
        foreach (var other in Others.Values)
        {
            other.Dispose();
        }
    }
}
