using RegCache.Lab.Kernel.Scripting;

namespace RegCache.Lab.Kernel.Notebooks;

/// <summary>How a notebook's run ended.</summary>
/// <param name="FailedCell">The number of the code cell that failed, from 1; null where all ran.</param>
/// <param name="Error">Its error.</param>
public sealed record NotebookRunResult(int? FailedCell, CellError? Error)
{
    /// <summary>Whether all cells ran to their ends.</summary>
    public bool Succeeded => Error is null;
}
