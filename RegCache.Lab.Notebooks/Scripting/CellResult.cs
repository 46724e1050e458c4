namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>How a cell ended; what it showed went to its <see cref="ICellOutput"/>.</summary>
/// <param name="Error">The error; null where the cell ran to its end.</param>
public sealed record CellResult(CellError? Error)
{
    /// <summary>Whether the cell ran to its end.</summary>
    public bool Succeeded => Error is null;

    /// <summary>Whether the cell was stopped from outside.</summary>
    public bool WasInterrupted => Error?.Name == CellErrors.Interrupted;
}
