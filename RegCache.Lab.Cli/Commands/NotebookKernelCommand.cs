using System.CommandLine;
using RegCache.Lab.Notebooks;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Runs as a Jupyter kernel: what the kernelspec of <see cref="NotebookInstallCommand"/> starts.</summary>
internal sealed class NotebookKernelCommand : KitCommand
{
    /// <summary>The words that call it.</summary>
    public const string Words = "notebook kernel";

    private readonly Option<string> _connectionFile = new("--connection-file")
    {
        Description = "The file with the addresses and the key, which the front end writes.",
        HelpName = "FILE",
        Required = true,
    };

    /// <inheritdoc/>
    public override string Path => Words;

    /// <inheritdoc/>
    public override string Description => "Runs as a Jupyter kernel; front ends start it.";

    /// <inheritdoc/>
    public override bool HandlesSignals => true;

    /// <inheritdoc/>
    public override void Declare(Command command) => command.Add(_connectionFile);

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        NotebookCommands.RunKernelAsync(context.Arguments.GetRequiredValue(_connectionFile), context.Cancellation).GetAwaiter().GetResult();
        return ExitCode.Success;
    }
}
