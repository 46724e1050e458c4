using System.Text.Json.Serialization;

namespace RegCache.Lab.Registers;

/// <summary>What a pipeline run found.</summary>
/// <param name="Report">The ten lines.</param>
/// <param name="Scores">The selected setting on the validation images, beside what it is made of.</param>
/// <param name="Sensitivity">Stage 1, also in its CSV file.</param>
/// <param name="Grid">Stage 5, also in its CSV file.</param>
public sealed record RegCacheResult(
    RegCacheReport Report,
    FinalScores Scores,
    [property: JsonIgnore] SensitivityTable Sensitivity,
    [property: JsonIgnore] SearchGrid Grid);
