using System.Globalization;
using RegCache.Lab.Notebooks;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Reproduction;

/// <summary>How `reproduce` shows tables: on the console and as a page.</summary>
internal static class ReproductionReport
{
    private const string DemoWarning =
        "NOT the paper's models and data: the demo model shapes-clip on generated pictures (--shapes). Compare the pattern, not the numbers.";

    /// <summary>All tables, one line each.</summary>
    public static void List(CommandContext context, IReadOnlyList<(PublishedTable Table, TableState State)> tables)
    {
        var shown = new Table().AddColumns("table", "paper", "what it shows", "can the kit run it now?");
        foreach (var (table, state) in tables.OrderBy(one => one.Table.Cannot is not null))
        {
            shown.AddRow(Markup.Escape(table.Id), Markup.Escape(table.Paper.Name), Markup.Escape(table.Shows), Markup.Escape(InWords(table, state)));
        }

        shown.Columns[0].NoWrap();
        context.Console.Write(shown);
        context.Output.WriteLine("`regcache reproduce TABLE` runs one; with --shapes on the demo model, with --dry-run it says what is missing.");
    }

    /// <summary>What is about to be run.</summary>
    public static void Head(CommandContext context, PublishedTable table, bool onDemo)
    {
        if (onDemo)
        {
            context.Output.WriteLine(DemoWarning);
        }

        context.Output.WriteLine($"{table.Paper.Name}, {table.Id}: {table.Shows}");
        context.Output.WriteLine($"{table.Paper.Title}, {table.Paper.Link}; {table.Source.InWords()}.");
        if (table.Source.Note is { } note)
        {
            context.Output.WriteLine($"Note: {note}.");
        }
    }

    /// <summary>The runs of a table with what they miss.</summary>
    public static void DryRun(CommandContext context, PublishedTable table, IReadOnlyList<PlannedRun> plan)
    {
        if (table.Cannot is { } reason)
        {
            context.Output.WriteLine($"The kit cannot run this table yet: {reason}.");
        }

        foreach (var planned in plan.Where(planned => planned.Inputs.Missing.Count == 0))
        {
            context.Output.WriteLine($"{Named(planned)}: would run.");
            Command(context, planned);
        }

        NotRun(context, [.. plan.Where(planned => planned.Inputs.Missing.Count > 0).Select(planned => (planned, ""))]);

        foreach (var row in table.Rows.Where(row => row.Cannot is not null))
        {
            context.Output.WriteLine($"{row.InWords()}: the kit cannot run this row, {row.Cannot}.");
        }
    }

    /// <summary>Published and measured numbers, then what was not run and why.</summary>
    public static void Print(CommandContext context, Reproduction reproduction, bool onDemo)
    {
        var shown = new Table().AddColumns("of", "measure", "published", MeasuredTitle(onDemo), "difference");
        foreach (var row in reproduction.Rows)
        {
            shown.AddRow(Markup.Escape(row.Row), Markup.Escape(Measure(row)), Plain(row.Published), Rounded(row.Measured), Signed(row.Difference));
        }

        foreach (var column in shown.Columns.Skip(2))
        {
            column.RightAligned();
        }

        context.Console.Write(shown);
        if (reproduction.Table.Cannot is { } reason)
        {
            context.Output.WriteLine($"The kit cannot run this table yet: {reason}.");
            return;
        }

        NotRun(context, reproduction.Problems);
        var told = reproduction.Problems.SelectMany(problem => problem.Run.Run.Rows).Select(row => row.InWords()).ToHashSet();
        foreach (var group in reproduction.Rows.Where(row => row.Measured is null && !told.Contains(row.Row)).GroupBy(row => row.NotRun))
        {
            var what = group.Select(row => $"{row.Row} ({row.Measure})").ToList();
            context.Output.WriteLine($"Not measured: {(what.Count > 4 ? $"{what.Count} numbers" : string.Join("; ", what))}: {group.Key}.");
        }
    }

    /// <summary>The same as a page.</summary>
    public static void WritePage(string path, Reproduction reproduction, bool onDemo)
    {
        var table = reproduction.Table;
        var page = new ReportPage($"{table.Paper.Name}: {table.Id}{(onDemo ? " on the demo model" : "")}");
        if (onDemo)
        {
            page.Paragraph(DemoWarning);
        }

        page.Paragraph(table.Shows);
        page.Paragraph($"{table.Paper.Title}, {table.Paper.Link}. Source: {table.Source.InWords()}.{(table.Source.Note is { } note ? $" {note}." : "")}");
        page.Table(reproduction.Rows.Select(row => new
        {
            row.Row,
            Measure = Measure(row),
            Published = Plain(row.Published),
            Measured = Rounded(row.Measured),
            Difference = Signed(row.Difference),
            row.MeasuredOn,
            row.NotRun,
            row.Note,
        }).ToDataFrame());
        page.Write(path);
    }

    private static string InWords(PublishedTable table, TableState state)
    {
        var costs = state.CountsCosts ? "; multiply-accumulates now" : "";
        return (table.Cannot, state) switch
        {
            ({ } reason, _) => $"the kit cannot run this table yet: {reason}",
            (_, { Rows: 0 }) => "the kit cannot run this table yet: it cannot load its models",
            (_, { Now: 0 }) => $"{Of(state.Rows, table)}, once weights and data are here{costs}",
            _ when state.Now == state.Rows => $"yes, {Of(state.Rows, table)}",
            _ => $"{Of(state.Now, table)}, {state.Rows} once all weights and data are here{costs}",
        };
    }

    private static string Of(int rows, PublishedTable table) => $"{rows} of {table.Rows.Count} rows";

    private static string Named(PlannedRun planned) =>
        planned.Run.Rows.Count == 1 ? planned.Run.Rows[0].InWords() : $"{planned.Run.Rows[0]["model"]} ({planned.Run.Rows.Count} rows)";

    // Runs miss the same files, so that these are told once.
    private static void NotRun(CommandContext context, IReadOnlyList<(PlannedRun Run, string Failure)> problems)
    {
        foreach (var (planned, failure) in problems)
        {
            var loads = planned.Inputs.Command.Length > 0;
            var reason = failure.Length > 0 ? failure : loads ? "files are missing" : planned.Inputs.Missing[0];
            context.Output.WriteLine($"Not run: {Named(planned)}: {reason}.");
            Command(context, planned);
        }

        var missing = problems.Where(problem => problem.Run.Inputs.Command.Length > 0).SelectMany(problem => problem.Run.Inputs.Missing).Distinct().ToList();
        if (missing.Count > 0)
        {
            context.Output.WriteLine("Missing:");
            missing.ForEach(one => context.Output.WriteLine($"  {one}."));
        }
    }

    private static void Command(CommandContext context, PlannedRun planned)
    {
        if (planned.Inputs.Command.Length > 0)
        {
            context.Output.WriteLine($"  what it would run: {planned.Inputs.Command}");
        }
    }

    private static string MeasuredTitle(bool onDemo) => onDemo ? "measured on shapes-clip" : "measured";

    private static string Measure(PaperComparison row) => row.Unit.Length > 0 ? $"{row.Measure}, {row.Unit}" : row.Measure;

    private static string Plain(double value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Rounded(double? value) => value?.ToString("0.00", CultureInfo.InvariantCulture) ?? "";

    private static string Signed(double? value) => value?.ToString("+0.00;-0.00;0.00", CultureInfo.InvariantCulture) ?? "";
}
