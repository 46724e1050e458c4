using Microsoft.DotNet.Interactive.Commands;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>Runs C# of a cell in the kernel. A command of its own, so that the code reaches the engine as written.</summary>
internal sealed class RunCell(string code, int cell, CellRun run) : KernelCommand
{
    public string Code => code;

    public int Cell => cell;

    public CellRun Run => run;

    /// <summary>The error, where there was one.</summary>
    public CellError? Error { get; set; }
}
