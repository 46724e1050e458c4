using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data.Manifests;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Compares a data set on disk with its manifest.</summary>
internal sealed class DataCheckCommand : KitCommand
{
    private const int MostProblems = 20;

    private readonly ManifestOptions _manifests = new();

    private readonly Option<string[]> _splits = new("--split")
    {
        Description = "Splits to check, which then must be there. [default: all]",
        HelpName = "NAME",
        AllowMultipleArgumentsPerToken = true,
        CustomParser = result => [.. result.Tokens.SelectMany(token => token.Value.Split(',', StringSplitOptions.RemoveEmptyEntries))],
    };

    private readonly Option<string?> _root = new("--root")
    {
        Description = "Root folder of the data set. [default: what its environment variables say]",
        HelpName = "FOLDER",
    };

    private readonly Option<bool> _deep = new("--deep") { Description = "Decode every image, and compare published checksums of the files that are there." };

    private readonly Option<string?> _report = new("--report") { Description = "CSV file for the list of all problems.", HelpName = "FILE" };

    private readonly Option<int?> _threads = OptionOf.Threads();

    private readonly DecodingOption _decoding = new();

    /// <inheritdoc/>
    public override string Path => "data check";

    /// <inheritdoc/>
    public override string Description => "Looks whether a data set is all there and can be read. Exit code 0: it is in order; 3: problems were found.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _manifests.AddOneTo(command);
        foreach (var option in new Option[] { _splits, _root, _deep, _report, _threads }.Concat(_decoding.All))
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var manifest = _manifests.ReadOne(arguments);
        if (manifest.File is { } file)
        {
            context.Progress.Message($"The manifest is {file}.");
        }

        var report = DatasetCheck.Run(
            manifest,
            new()
            {
                Root = arguments.GetValue(_root),
                Splits = OptionOf.Given(arguments, _splits),
                Deep = arguments.GetValue(_deep),
                Decoding = _decoding.Read(arguments),
                Threads = arguments.GetValue(_threads) ?? Environment.ProcessorCount,
            },
            context.Progress,
            context.Cancellation);
        PrintTable(context.Console, report);
        PrintNotes(context.Output, report);
        var problems = report.Problems;
        if (arguments.GetValue(_report) is { } path)
        {
            report.WriteProblems(path);
        }

        foreach (var problem in problems.Take(MostProblems))
        {
            context.Output.WriteLine(problem.Split.Length > 0 ? $"{problem.Split}: {problem.Sentence}" : problem.Sentence);
        }

        if (problems.Count > MostProblems)
        {
            context.Output.WriteLine($"... and {problems.Count - MostProblems} more; --report FILE lists all.");
        }

        context.Output.WriteLine(problems.Count switch
        {
            0 => "No problem found.",
            1 => "1 problem found.",
            var count => $"{count} problems found.",
        });
        return problems.Count == 0 ? ExitCode.Success : ExitCode.ProblemsFound;
    }

    private static void PrintTable(IAnsiConsole console, DatasetCheckReport report)
    {
        var table = new Table().Title(Markup.Escape($"{report.Manifest.Name}: {report.Manifest.Title}"))
            .AddColumns("split", "what", "expected", "found", "");
        table.Columns[2].RightAligned();
        table.Columns[3].RightAligned();
        foreach (var split in report.Splits)
        {
            if (split.Counts.Count == 0)
            {
                table.AddRow(split.Split.Name, "", "", "", split.PassedOver is null ? "missing" : "not there");
            }

            foreach (var (row, count) in split.Counts.Index())
            {
                table.AddRow(
                    row == 0 ? split.Split.Name : "", count.What.Replace('_', ' '), count.Expected is { } expected ? $"{expected:N0}" : "",
                    $"{count.Found:N0}", count.Expected is null ? "" : count.IsRight ? "ok" : "wrong");
            }
        }

        foreach (var sum in report.Checksums)
        {
            table.AddRow("", Markup.Escape($"checksum of {System.IO.Path.GetFileName(sum.File)}"), sum.Expected[..8], sum.Found[..8], sum.IsRight ? "ok" : "wrong");
        }

        console.Write(table);
    }

    private static void PrintNotes(TextWriter output, DatasetCheckReport report)
    {
        foreach (var split in report.Splits)
        {
            if (split.PassedOver is { } reason)
            {
                output.WriteLine($"{split.Split.Name}: not checked, for {reason}.");
            }

            if (split.LeftOut.Count > 0)
            {
                output.WriteLine($"{split.Split.Name}: left out: {string.Join("; ", split.LeftOut)}.");
            }
        }
    }
}
