namespace RegCache.Lab.Encoders;

/// <summary>
/// Patch tokens that lie in windows: after the protected tokens come the tokens of window 0, then those of window 1, and
/// so on.
/// </summary>
/// <param name="AtLeast">Tokens of each window in the image that has the fewest there.</param>
/// <param name="Tokens">Patch tokens of an image when this was noted; what is missing now has been deleted since.</param>
public sealed record WindowRuns(ValueList<int> AtLeast, int Tokens);
