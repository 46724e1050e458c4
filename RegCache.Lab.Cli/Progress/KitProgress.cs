using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Progress;

/// <summary>Progress on standard error: bars on a terminal, plain lines where it goes to a file or a pipe.</summary>
internal abstract class KitProgress : IWorkProgress, IDisposable
{
    /// <summary>The one that fits what standard error is.</summary>
    public static KitProgress ForStandardError()
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return console.Profile.Out.IsTerminal ? new TerminalProgress(console) : new PlainProgress(Console.Error, TimeProvider.System);
    }

    /// <inheritdoc/>
    public abstract IProgressHandle Start(string title, long total, string unit, long alreadyDone = 0);

    /// <inheritdoc/>
    public abstract void Message(string text);

    /// <summary>Gives the terminal back, even when work was left under way by an error.</summary>
    public abstract void Dispose();
}
