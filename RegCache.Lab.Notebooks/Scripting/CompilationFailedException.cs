namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>The code of a cell does not compile.</summary>
internal sealed class CompilationFailedException(CellError error) : Exception(error.Message)
{
    public CellError Error { get; } = error;
}
