using System.CommandLine;
using System.Globalization;
using System.Reflection;
using RegCache.Lab.Cli.Diagnosis;
using RegCache.Lab.Cli.Progress;
using RegCache.Lab.Distributed;
using RegCache.Lab.Reports;
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
        if (Processes.Launched > 1)
        {
            // What mpirun gives its processes looks like a terminal, and is none.
            Environment.SetEnvironmentVariable("TERM", "dumb");
        }

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
            return Processes.Launched == 1 ? ErrorReport.Write(exception, verbose, Console.Error) : JobEnd.Abort(exception, verbose);
        }
    }

    private int Execute(KitCommand command, ParseResult parsed)
    {
        if (command is not DoctorCommand && TensorLibrary.Problem() is { } problem)
        {
            throw new UserException(problem);
        }

        if (Processes.Launched > 1 && !command.SharesWork)
        {
            throw new UserException(
                $"`regcache {command.Path}` runs in one process, but {Processes.Launched} were started: start it without mpirun, or with one task (srun --ntasks=1).");
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
        catch (Exception exception) when (interruption.IsCauseOf(exception) || (Processes.Launched > 1 && exception is OperationCanceledException))
        {
            // All processes of a job stop at the same step, whichever of them was asked to.
            if (Processes.IsFirst)
            {
                Console.Error.WriteLine(interruption.Sentence);
            }

            Processes.End();
            return interruption.ExitCode;
        }
    }

    private int Execute(KitCommand command, ParseResult parsed, CancellationToken cancellation)
    {
        using var progress = KitProgress.ForStandardError();
        if (Processes.Launched == 1)
        {
            return command.Run(new CommandContext(parsed, _commandLine, Console.Out, ForStandardOutput(), progress, cancellation));
        }

        var group = Processes.Current;
        if (group.Rank == 0)
        {
            progress.Message($"{group.Size} processes, {group.LocalSize} of them on {group.Machine}, by {group.Transport}.");
        }

        var code = command.Run(group.Rank == 0
            ? new CommandContext(parsed, _commandLine, Console.Out, ForStandardOutput(), progress, cancellation)
            : new CommandContext(parsed, _commandLine, TextWriter.Null, Silent(), SilentProgress.Instance, cancellation));
        Processes.End();
        return code;
    }

    private static IAnsiConsole Silent() => AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(TextWriter.Null) });

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

/// <summary>Tells an error as one sentence and chooses the exit code.</summary>
internal static class ErrorReport
{
    /// <summary>Writes the sentence; with <paramref name="verbose"/> also the cause and where it happened.</summary>
    /// <returns>The exit code, see <see cref="ExitCode"/>.</returns>
    public static int Write(Exception exception, bool verbose, TextWriter error)
    {
        var unwrapped = Unwrap(exception);
        var mendable = AsUserException(unwrapped);
        error.WriteLine(mendable?.Message
            ?? $"An unexpected error stopped the command ({Named(unwrapped)})"
                + (verbose ? "." : "; run it again with --verbose for the details."));
        if (verbose && (mendable is null || unwrapped is not UserException || unwrapped.InnerException is not null))
        {
            error.WriteLine(unwrapped);
        }

        return mendable is null ? ExitCode.Unexpected : ExitCode.UserError;
    }

    /// <summary>An error as one sentence.</summary>
    public static string Sentence(Exception exception)
    {
        var unwrapped = Unwrap(exception);
        return AsUserException(unwrapped)?.Message ?? Named(unwrapped);
    }

    private static string Named(Exception exception) => $"{exception.GetType().Name}: {FirstLine(exception.Message)}";

    private static UserException? AsUserException(Exception exception) => exception switch
    {
        UserException user => user,
        // The engine's loader says itself what to do.
        DllNotFoundException missing when missing.Message.Contains("./lab setup", StringComparison.Ordinal) => new UserException(missing.Message),
        DllNotFoundException missing => new UserException(
            $"A native library is missing ({FirstLine(missing.Message)}): run './lab setup', or install.sh in a bundle, then 'regcache doctor'."),
        _ when IsOutOfMemory(exception) => new UserException("There is not enough memory: give a smaller --batch."),
        _ when FileErrors.IsFileError(exception) => FileErrors.ToUserException(exception, "A file cannot be read or written"),
        _ => null,
    };

    // libtorch tells it in the text of its errors, for the CPU and for CUDA in these words.
    private static bool IsOutOfMemory(Exception exception) =>
        exception is OutOfMemoryException
        || exception.Message.Contains("CUDA out of memory", StringComparison.Ordinal)
        || exception.Message.Contains("can't allocate memory", StringComparison.Ordinal);

    private static Exception Unwrap(Exception exception) => exception switch
    {
        TypeInitializationException { InnerException: { } inner } => Unwrap(inner),
        TargetInvocationException { InnerException: { } inner } => Unwrap(inner),
        AggregateException { InnerExceptions: [var inner] } => Unwrap(inner),
        _ => exception,
    };

    private static string FirstLine(string text) => text.AsSpan().Trim().Trim('.').ToString().Split('\n', 2)[0].TrimEnd();
}

/// <summary>How a process that cannot go on ends a job of several: the others would wait for it for ever.</summary>
internal static class JobEnd
{
    // Where all processes fail alike, for example at a wrong option, the first one's sentence is enough.
    private static readonly TimeSpan _precedence = TimeSpan.FromSeconds(3);

    /// <summary>Says which process failed and why, and ends all.</summary>
    /// <returns>The exit code, if MPI was not there to end the processes.</returns>
    public static int Abort(Exception exception, bool verbose)
    {
        if (Processes.IsFirst)
        {
            var code = ErrorReport.Write(exception, verbose, Console.Error);
            return End(code);
        }

        Thread.Sleep(_precedence);
        using var text = new StringWriter();
        var own = ErrorReport.Write(exception, verbose, text);
        Console.Error.Write($"Process {Processes.LaunchedRank} of {Processes.Launched} on {Environment.MachineName} ends the job: {text}");
        return End(own);
    }

    private static int End(int code)
    {
        Processes.Abort(code);
        return code;
    }
}

/// <summary>What the process returns.</summary>
internal static class ExitCode
{
    /// <summary>All went well.</summary>
    public const int Success = 0;

    /// <summary>An unexpected error: a mistake of the kit, not of its user.</summary>
    public const int Unexpected = 1;

    /// <summary>Something the user can mend: an option, a file, a full disk.</summary>
    public const int UserError = 2;

    /// <summary>The command did what it should, and what it checked is not in order.</summary>
    public const int ProblemsFound = 3;

    /// <summary>Ctrl-C (128 + SIGINT).</summary>
    public const int Interrupted = 130;

    /// <summary>Asked to end, for example by a batch system at the time limit (128 + SIGTERM).</summary>
    public const int Terminated = 143;
}
