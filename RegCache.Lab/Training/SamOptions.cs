namespace RegCache.Lab.Training;

/// <summary>Settings of sharpness-aware minimisation.</summary>
/// <param name="Radius">How far the parameters climb, rho; about 0.05, or ten times as much when adaptive.</param>
/// <param name="Adaptive">Whether every parameter climbs in proportion to its own magnitude (adaptive SAM).</param>
public sealed record SamOptions(double Radius = 0.05, bool Adaptive = false);
