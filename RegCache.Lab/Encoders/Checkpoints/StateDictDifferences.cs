namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>How a weight file differs from what a configuration asks for.</summary>
/// <param name="Missing">Names that the model needs and the file lacks.</param>
/// <param name="Unexpected">Names that the file has and the model does not.</param>
/// <param name="WrongShapes">Tensors of another shape, each with the shape that the model needs.</param>
public sealed record StateDictDifferences(
    IReadOnlyList<string> Missing, IReadOnlyList<string> Unexpected, IReadOnlyList<string> WrongShapes)
{
    private const int NamesShown = 3;

    /// <summary>True when the file holds exactly what the model needs.</summary>
    public bool IsEmpty => Missing.Count + Unexpected.Count + WrongShapes.Count == 0;

    /// <summary>One clause for a message: "2 tensors are missing (a, b)".</summary>
    public override string ToString() => string.Join(
        ", ",
        new[]
        {
            Clause(Missing, "missing"),
            Clause(WrongShapes, "of another shape"),
            Clause(Unexpected, "not part of the model"),
        }.Where(clause => clause.Length > 0));

    private static string Clause(IReadOnlyList<string> names, string what)
    {
        var shown = string.Join(", ", names.Take(NamesShown)) + (names.Count > NamesShown ? ", ..." : string.Empty);
        return names.Count switch
        {
            0 => string.Empty,
            1 => $"1 tensor is {what} ({shown})",
            _ => $"{names.Count} tensors are {what} ({shown})",
        };
    }
}
