using System.CommandLine;
using Microsoft.Data.Analysis;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Notebooks.Plots;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Accuracy over epochs, from the logs of trainings.</summary>
internal sealed class ReportCurvesCommand : KitCommand
{
    private readonly Argument<string[]> _logs = new("LOG")
    {
        Description = "Logs of trainings, or run directories: a curve each.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<int?> _epochs = OptionOf.OptionalNumber("--epochs", "Points that each log should have; fewer are warned of.", 1, 1_000_000);

    private readonly Option<string?> _csv = new("--csv") { Description = "Write all points to this file.", HelpName = "FILE" };

    private readonly Option<string?> _html = new("--html") { Description = "Write a page with the plot and all points.", HelpName = "FILE" };

    /// <inheritdoc/>
    public override string Path => "report curves";

    /// <inheritdoc/>
    public override string Description => "Accuracy over epochs, from logs of trainings: this kit's, OpenCLIP's, or ImageNet scripts'.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        command.Add(_logs);
        foreach (var option in new Option[] { _epochs, _csv, _html })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var curves = Distinct(arguments.GetRequiredValue(_logs));
        var table = new Table().AddColumns("log", "epochs", "top-1 % at the end", "top-5 % at the end", "best top-1 %", "at epoch");
        foreach (var curve in curves)
        {
            var (last, best) = (curve.Points[^1], curve.Best);
            table.AddRow(
                Markup.Escape(curve.Name), $"{curve.Points.Count}", Percent(last.Top1), Percent(last.Top5), Percent(best.Top1), $"{best.Epoch:0.##}");
        }

        context.Console.Write(table);
        List<string> remarks =
        [
            .. curves.Where(curve => curve.Points.Count < arguments.GetValue(_epochs))
                .Select(curve => $"{curve.Name} has {curve.Points.Count} of {arguments.GetValue(_epochs)} points."),
        ];
        remarks.ForEach(context.Output.WriteLine);
        if (arguments.GetValue(_csv) is { } csv)
        {
            CsvTable.Write(csv, curves.SelectMany(curve => curve.Rows()));
        }

        if (arguments.GetValue(_html) is { } html)
        {
            Page(curves, remarks).Write(html);
        }

        return ExitCode.Success;
    }

    // Two logs of one name are told apart by the way to them.
    private static List<AccuracyCurve> Distinct(string[] paths)
    {
        var curves = paths.Select(path => (Path: path, Curve: AccuracyCurve.Read(path))).ToList();
        var twice = curves.CountBy(pair => pair.Curve.Name).Where(count => count.Value > 1).Select(count => count.Key).ToHashSet();
        return [.. curves.Select(pair => twice.Contains(pair.Curve.Name) ? pair.Curve with { Name = pair.Path } : pair.Curve)];
    }

    private static ReportPage Page(IReadOnlyList<AccuracyCurve> curves, List<string> remarks)
    {
        var page = new ReportPage("Accuracy over epochs");
        page.Plot(AccuracyPlot.Of(curves));
        remarks.ForEach(page.Paragraph);
        AccuracyRow[] rows = [.. curves.SelectMany(curve => curve.Rows())];
        page.Table(new DataFrame(
            new StringDataFrameColumn("Log", rows.Select(row => row.Log)),
            new DoubleDataFrameColumn("Epoch", rows.Select(row => row.Epoch)),
            new StringDataFrameColumn("Top-1 %", rows.Select(row => Percent(row.Top1))),
            new StringDataFrameColumn("Top-5 %", rows.Select(row => Percent(row.Top5)))));
        return page;
    }

    private static string Percent(double? share) => share is { } known ? $"{100 * known:0.00}" : "";
}
