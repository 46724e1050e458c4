using System.CommandLine;
using System.Globalization;
using RegCache.Lab.Cli.Commands;
using RegCache.Lab.Cli.Progress;
using Spectre.Console;

namespace RegCache.Lab.Cli;

/// <summary>Parses the command line and runs a command: the one place of error sentences, exit codes and Ctrl-C.</summary>
/// <param name="commands">The commands to offer.</param>
internal sealed class CommandHost(IReadOnlyList<KitCommand> commands)
{
    private const int FileWidth = 120;

    private string _commandLine = "";

    /// <summary>Runs a command line.</summary>
    /// <returns>The process's exit code, see <see cref="ExitCode"/>.</returns>
    public int Run(string[] arguments)
    {
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.DefaultThreadCurrentUICulture = CultureInfo.InvariantCulture;
        CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = CultureInfo.InvariantCulture;
        _commandLine = string.Join(' ', arguments.Prepend("regcache").Select(Quoted));
        var verbose = false;
        try
        {
            TensorLibrary.Prepare();
            var parsed = CommandTree.Build(commands, Execute).Parse(arguments);
            verbose = parsed.GetValue(CommandTree.Verbose);
            if (parsed.Action is System.CommandLine.Invocation.ParseErrorAction)
            {
                throw new UserException(Describe(parsed));
            }

            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
        }
        catch (Exception exception)
        {
            return ErrorReport.Write(exception, verbose, Console.Error);
        }
    }

    private int Execute(KitCommand command, ParseResult parsed)
    {
        if (command is not DoctorCommand && TensorLibrary.Problem() is { } problem)
        {
            throw new UserException(problem);
        }

        if (command.HandlesSignals)
        {
            return Execute(command, parsed, CancellationToken.None);
        }

        using var interruption = new Interruption();
        try
        {
            return Execute(command, parsed, interruption.Token);
        }
        catch (Exception exception) when (interruption.IsCauseOf(exception))
        {
            Console.Error.WriteLine(interruption.Sentence);
            return interruption.ExitCode;
        }
    }

    private int Execute(KitCommand command, ParseResult parsed, CancellationToken cancellation)
    {
        using var progress = KitProgress.ForStandardError();
        return command.Run(new CommandContext(parsed, _commandLine, Console.Out, ForStandardOutput(), progress, cancellation));
    }

    // Files and pipes take tables without colours, and wider than the 80 columns of a terminal that tells nothing.
    private static IAnsiConsole ForStandardOutput()
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = Console.IsOutputRedirected ? AnsiSupport.No : AnsiSupport.Detect });
        if (Console.IsOutputRedirected)
        {
            console.Profile.Width = FileWidth;
        }

        return console;
    }

    private static string Describe(ParseResult parsed)
    {
        var words = new List<string>();
        for (var command = parsed.CommandResult; command is not null; command = command.Parent as System.CommandLine.Parsing.CommandResult)
        {
            words.Insert(0, command.Parent is null ? "regcache" : command.Command.Name);
        }

        var mistakes = parsed.Errors.Select(error => error.Message.TrimEnd('.')).Distinct();
        return $"{string.Join("; ", mistakes)} (see '{string.Join(' ', words)} --help').";
    }

    private static string Quoted(string argument) =>
        argument.Length > 0 && argument.All(symbol => char.IsLetterOrDigit(symbol) || "-_./:=,+@%".Contains(symbol))
            ? argument
            : $"'{argument.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
