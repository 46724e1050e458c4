namespace RegCache.Lab.Merging;

/// <summary>One line of a <see cref="ParetoPlot"/>.</summary>
/// <param name="Name">Shown in the legend.</param>
/// <param name="Points">Cost and accuracy in percent.</param>
public sealed record ParetoSeries(string Name, IReadOnlyList<(double Cost, double Accuracy)> Points)
{
    /// <summary>Whether the numbers come from a paper: drawn dashed, with open circles.</summary>
    public bool IsPublished { get; init; }
}
