namespace RegCache.Lab.Evaluation;

/// <summary>How fast a plan runs.</summary>
/// <param name="ImagesPerSecond">Median over the repeats.</param>
/// <param name="Ratio">Median over the repeats of its speed relative to the first plan's in the same repeat.</param>
public sealed record ThroughputResult(double ImagesPerSecond, double Ratio);
