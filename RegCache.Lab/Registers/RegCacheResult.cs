namespace RegCache.Lab.Registers;

/// <summary>What a pipeline run found.</summary>
/// <param name="Report">The ten lines.</param>
/// <param name="Scores">The selected setting on the validation images, beside what it is made of.</param>
public sealed record RegCacheResult(RegCacheReport Report, FinalScores Scores);
