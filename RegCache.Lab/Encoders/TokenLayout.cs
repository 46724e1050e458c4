namespace RegCache.Lab.Encoders;

/// <summary>
/// Says what the positions of a token sequence hold: first the class tokens, then the register tokens, then the patch
/// tokens. Stages that insert, remove or reorder tokens return a new layout; nobody else guesses positions.
/// </summary>
/// <param name="ClassTokens">Number of leading class (and distillation) tokens.</param>
/// <param name="RegisterTokens">Number of register tokens that follow the class tokens.</param>
/// <param name="GridRows">Rows of the patch grid that the image was cut into.</param>
/// <param name="GridColumns">Columns of that grid.</param>
public sealed record TokenLayout(int ClassTokens, int RegisterTokens, int GridRows, int GridColumns)
{
    /// <summary>Number of leading tokens that no stage may delete, prune or merge.</summary>
    public int ProtectedTokens => ClassTokens + RegisterTokens;

    /// <summary>How the patch tokens lie in windows; null while they do not.</summary>
    public WindowRuns? Windows { get; init; }
}
