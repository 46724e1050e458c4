using System.CommandLine;
using System.Globalization;
using Microsoft.Data.Analysis;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Reports;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Finished runs beside each other: what was run, and the main numbers.</summary>
internal sealed class ReportCommand : KitCommand
{
    private const int HashDigits = 12;

    private readonly Argument<string[]> _runs = new("RUN")
    {
        Description = "Run directories, or result.json files.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<string?> _csv = new("--csv") { Description = "Write the numbers to this file, one a line.", HelpName = "FILE" };

    private readonly Option<string?> _html = new("--html") { Description = "Write the comparison as a page.", HelpName = "FILE" };

    /// <inheritdoc/>
    public override string Path => "report";

    /// <inheritdoc/>
    public override string Description => "Compares finished runs: model, data, plan, seed and time, and the main numbers side by side.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        command.Add(_runs);
        command.Add(_csv);
        command.Add(_html);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var (runs, problems) = Read(context.Arguments.GetRequiredValue(_runs));
        var groups = RunSummary.Comparable(runs);
        List<string> remarks =
        [
            .. problems,
            .. groups.Skip(1).Select(group =>
                $"{string.Join(", ", group.Select(run => run.Name))}: results of another kind than those of {groups[0][0].Name}, so they have a table of their own."),
            .. runs.Where(run => run.LeftOut.Count > 0).Select(run => $"{run.Name}: too long to be shown here: {string.Join(", ", run.LeftOut)}."),
        ];
        foreach (var group in groups)
        {
            Print(context.Console, group);
        }

        remarks.ForEach(context.Output.WriteLine);
        if (context.Arguments.GetValue(_csv) is { } csv)
        {
            CsvTable.Write(csv, RunNumber.Of(runs));
        }

        if (context.Arguments.GetValue(_html) is { } html)
        {
            Page(groups, remarks).Write(html);
        }

        return problems.Count == 0 ? ExitCode.Success : ExitCode.UserError;
    }

    // A run that cannot be read does not hide the others. Two runs of one folder name are told apart by the way to them.
    private static (List<RunSummary> Runs, List<string> Problems) Read(string[] paths)
    {
        var (runs, problems) = (new List<(string Path, RunSummary Run)>(), new List<string>());
        foreach (var path in paths)
        {
            try
            {
                runs.Add((path, RunSummary.Read(path)));
            }
            catch (UserException exception)
            {
                problems.Add(exception.Message);
            }
        }

        var twice = runs.CountBy(run => run.Run.Name).Where(count => count.Value > 1).Select(count => count.Key).ToHashSet();
        return ([.. runs.Select(run => twice.Contains(run.Run.Name) ? run.Run with { Name = run.Path } : run.Run)], problems);
    }

    private static void Print(IAnsiConsole console, IReadOnlyList<RunSummary> runs)
    {
        var table = new Table().AddColumns(["", .. runs.Select(run => Markup.Escape(run.Name))]);
        foreach (var (name, values) in Facts(runs))
        {
            table.AddRow([name, .. values.Select(Markup.Escape)]);
        }

        table.AddEmptyRow();
        foreach (var (name, values) in Numbers(runs))
        {
            IRenderable[] cells = [new Text(name), .. values.Select(value => new Text(value).RightJustified())];
            table.AddRow(cells);
        }

        console.Write(table);
    }

    private static ReportPage Page(IReadOnlyList<IReadOnlyList<RunSummary>> groups, List<string> remarks)
    {
        var page = new ReportPage("Runs compared");
        foreach (var (index, group) in groups.Index())
        {
            if (groups.Count > 1)
            {
                page.Heading($"Results of kind {index + 1}");
            }

            (string Name, string[] Values)[] lines = [.. Facts(group), .. Numbers(group)];
            page.Table(new DataFrame(
            [
                new StringDataFrameColumn("Run", lines.Select(line => line.Name)),
                .. group.Select((run, column) => new StringDataFrameColumn(run.Name, lines.Select(line => line.Values[column]))),
            ]));
        }

        remarks.ForEach(page.Paragraph);
        return page;
    }

    private static IEnumerable<(string Name, string[] Values)> Facts(IReadOnlyList<RunSummary> runs)
    {
        (string, string[]) Of(string name, Func<Provenance, string> value) => (name, [.. runs.Select(run => value(run.Provenance))]);
        yield return Of("model", provenance => Hashes(provenance.Models));
        yield return Of("data", provenance => Hashes(provenance.Data));
        yield return Of("plan", provenance => provenance.Plan);
        yield return Of("seed", provenance => provenance.Seed.ToString(CultureInfo.InvariantCulture));
        yield return Of("time", provenance => provenance.Time.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture));
        yield return Of("command", provenance => provenance.CommandLine);
    }

    // Enough of a hash to see whether two runs used the same.
    private static string Hashes(IReadOnlyDictionary<string, string> hashes) =>
        string.Join(", ", hashes.Select(hash => $"{hash.Key} {hash.Value[..Math.Min(HashDigits, hash.Value.Length)]}"));

    private static IEnumerable<(string Name, string[] Values)> Numbers(IReadOnlyList<RunSummary> runs) =>
        runs.SelectMany(run => run.Numbers.Keys).Distinct().Select(name => (name, runs
            .Select(run => run.Numbers.TryGetValue(name, out var value) ? value.ToString("0.####", CultureInfo.InvariantCulture) : "")
            .ToArray()));
}
