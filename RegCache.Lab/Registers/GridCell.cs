namespace RegCache.Lab.Registers;

/// <summary>One setting of the search and its score.</summary>
/// <param name="ExtractionBlock">Prefix-extraction block t.</param>
/// <param name="PrefixCount">Prefix tokens tau.</param>
/// <param name="DeleteCount">Deleted tokens.</param>
/// <param name="Images">Images that were run; fewer than the set when the cell was dropped because it could not win.</param>
/// <param name="Correct">Correct predictions among them.</param>
/// <param name="FeatureMse">Mean squared error of the features against the float model; null when it was not asked for.</param>
public sealed record GridCell(
    int ExtractionBlock, int PrefixCount, int DeleteCount, int Images, long Correct, double? FeatureMse);
