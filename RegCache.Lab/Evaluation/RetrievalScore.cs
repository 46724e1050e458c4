namespace RegCache.Lab.Evaluation;

/// <summary>How well one side of image-text pairs finds the other.</summary>
/// <param name="Direction"><c>image to text</c> or <c>text to image</c>.</param>
/// <param name="Pairs">Number of pairs.</param>
/// <param name="RecallAt1">Percent of queries whose partner is the most similar one.</param>
/// <param name="RecallAt5">Percent of queries whose partner is among the five most similar.</param>
/// <param name="RecallAt10">Percent of queries whose partner is among the ten most similar.</param>
/// <param name="MedianRank">Median rank of the partner, from 1.</param>
public sealed record RetrievalScore(
    string Direction, int Pairs, double RecallAt1, double RecallAt5, double RecallAt10, double MedianRank);
