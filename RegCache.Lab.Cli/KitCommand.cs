using System.CommandLine;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli;

/// <summary>
/// One command of <c>regcache</c>. A class that derives from it, anywhere in this assembly, is a command: it declares its
/// options, and runs. Errors, Ctrl-C and exit codes are the <see cref="CommandHost"/>'s business.
/// </summary>
internal abstract class KitCommand
{
    /// <summary>The words that call it: <c>doctor</c>, <c>eval classification</c>.</summary>
    public abstract string Path { get; }

    /// <summary>One sentence for the help text.</summary>
    public abstract string Description { get; }

    /// <summary>Whether the command itself listens to Ctrl-C: its context is never cancelled then.</summary>
    public virtual bool HandlesSignals => false;

    /// <summary>
    /// Whether several processes, started by <c>mpirun</c> or <c>srun</c>, share the command's work. Others are refused then: each process would do
    /// all of it.
    /// </summary>
    public virtual bool SharesWork => false;

    /// <summary>Every command of the assembly, sorted by its words.</summary>
    public static IReadOnlyList<KitCommand> All() =>
    [
        .. typeof(KitCommand).Assembly.GetTypes()
            .Where(type => type.IsSubclassOf(typeof(KitCommand)) && !type.IsAbstract)
            .Select(type => (KitCommand)Activator.CreateInstance(type)!)
            .OrderBy(command => command.Path, StringComparer.Ordinal),
    ];

    /// <summary>Adds the command's options and arguments.</summary>
    public virtual void Declare(Command command)
    {
    }

    /// <summary>Does the work.</summary>
    /// <returns>The process's exit code, see <see cref="ExitCode"/>.</returns>
    /// <exception cref="UserException">Something the user can mend: printed as it is, exit code 2.</exception>
    /// <exception cref="OperationCanceledException">The context's token was cancelled: exit code 130.</exception>
    public abstract int Run(CommandContext context);
}

/// <summary>What a running command has at hand.</summary>
/// <param name="Arguments">The parsed command line.</param>
/// <param name="CommandLine">The command line as text, for provenance.</param>
/// <param name="Output">Standard output, for lines that other programs may read; never wrapped.</param>
/// <param name="Console">Standard output, for tables that people read.</param>
/// <param name="Progress">Progress bars on a terminal, plain lines elsewhere; on standard error.</param>
/// <param name="Cancellation">Cancelled by Ctrl-C and SIGTERM; check it once a batch.</param>
internal sealed record CommandContext(
    ParseResult Arguments,
    string CommandLine,
    TextWriter Output,
    IAnsiConsole Console,
    IWorkProgress Progress,
    CancellationToken Cancellation);
