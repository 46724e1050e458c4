using RegCache.Lab.Notebooks;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Makes the kit's kernel known to Jupyter.</summary>
internal sealed class NotebookInstallCommand : KitCommand
{
    /// <inheritdoc/>
    public override string Path => "notebook install";

    /// <inheritdoc/>
    public override string Description => "Makes the kit's C# kernel known to Jupyter; a kernel that is there already is left alone.";

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        context.Output.WriteLine($"The kernel is installed in {NotebookCommands.Install(NotebookKernelCommand.Words)}");
        return ExitCode.Success;
    }
}
