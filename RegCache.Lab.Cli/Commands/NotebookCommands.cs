using System.CommandLine;
using System.Globalization;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Notebooks;
using RegCache.Lab.Notebooks.Running;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Runs notebooks without a front end.</summary>
internal sealed class NotebookRunCommand : KitCommand
{
    private const double LongestTimeout = 1e6;

    private readonly Argument<string[]> _files = new("FILE")
    {
        Description = "Notebooks (.ipynb), run one after the other, each in a state of its own.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<string?> _out = new("--out")
    {
        Description = "Folder for the notebooks with their outputs. [default: they are written where they are]",
        HelpName = "FOLDER",
    };

    private readonly Option<bool> _html = new("--html") { Description = "Also write each notebook as one HTML page that needs no network." };

    private readonly Option<bool> _pictures = new("--pictures")
    {
        Description = "Keep plots as PNG pictures, for pages that run no scripts; needs Chromium.",
    };

    private readonly Option<double?> _timeout = new("--timeout")
    {
        Description = "Seconds that one cell may run. [default: no limit]",
        HelpName = "SECONDS",
        CustomParser = result => OptionOf.Parse<double?>(result, text =>
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) && seconds is > 0 and < LongestTimeout
                ? seconds
                : throw new UserException($"--timeout must be a number of seconds, not '{text}'")),
    };

    private readonly Option<string[]> _parameters = new("--param")
    {
        Description = "Value of a variable of the cell tagged 'parameters'; may be given several times.",
        HelpName = "NAME=VALUE",
    };

    /// <inheritdoc/>
    public override string Path => "notebook run";

    /// <inheritdoc/>
    public override string Description => "Runs notebooks without a front end and keeps their outputs; stops at a notebook's first error.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        command.Add(_files);
        foreach (var option in new Option[] { _out, _html, _pictures, _timeout, _parameters })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var options = new NotebookRunOptions
        {
            Files = arguments.GetRequiredValue(_files),
            OutputFolder = arguments.GetValue(_out),
            Html = arguments.GetValue(_html),
            Pictures = arguments.GetValue(_pictures),
            CellTimeout = arguments.GetValue(_timeout) is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
            Parameters = Parameters(arguments.GetValue(_parameters) ?? []),
        };
        return NotebookCommands.RunAsync(options, Console.Error, context.Cancellation).GetAwaiter().GetResult();
    }

    private static Dictionary<string, string> Parameters(IEnumerable<string> words)
    {
        var values = new Dictionary<string, string>();
        foreach (var word in words)
        {
            values[word.Split('=')[0]] = word.IndexOf('=', StringComparison.Ordinal) is var sign and > 0
                ? word[(sign + 1)..]
                : throw new UserException($"--param must be NAME=VALUE, not '{word}'.");
        }

        return values;
    }
}

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
