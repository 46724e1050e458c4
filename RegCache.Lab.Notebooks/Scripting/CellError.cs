namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>Why a cell failed.</summary>
/// <param name="Name">The kind of error: an exception's type name, <c>CompilationError</c> or <c>Interrupted</c>.</param>
/// <param name="Message">What went wrong.</param>
/// <param name="Line">The line of the cell, from 1; null where it is not known.</param>
/// <param name="Traceback">The lines to show, the cell's lines named in them.</param>
public sealed record CellError(string Name, string Message, int? Line, IReadOnlyList<string> Traceback);
