using Microsoft.Data.Analysis;
using RegCache.Lab.Memory;
using RegCache.Lab.Notebooks;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Notebooks.Plots;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Tables and plots of a memory study.</summary>
internal static class StudyMemoryReport
{
    /// <summary>One line a set and direction: recall at 1 of every model, and the change against the teacher.</summary>
    public static void Print(IAnsiConsole console, IReadOnlyList<MemoryStudyRow> rows, IReadOnlyList<MemoryModelRow> models)
    {
        var table = new Table().Title("recall at 1, %").AddColumns("set", "direction", "queries");
        models.ToList().ForEach(model => table.AddColumn(new TableColumn(model.Model).RightAligned()));
        table.Columns[2].RightAligned();
        foreach (var group in Groups(rows))
        {
            table.AddRow([group[0].Dataset, group[0].Direction, $"{group[0].Queries}", .. group.Select(Cell)]);
        }

        console.Write(table);
        var costs = new Table().Title("image encoders").AddColumns("model", "parameters", "MLPs removed", "memory added", "net", "GMACs");
        var hasSpeeds = models.Any(model => model.ImagesPerSecond is not null);
        if (hasSpeeds)
        {
            costs.AddColumns("images/s", "speed ratio");
        }

        foreach (var model in models)
        {
            string[] speeds = hasSpeeds ? [$"{model.ImagesPerSecond:0.0}", $"{model.SpeedRatio:0.00}"] : [];
            costs.AddRow(
            [
                model.Model, $"{model.VisionParameters:N0}", $"{model.MlpRemoved:N0}", $"{model.MemoryAdded:N0}", $"{model.Net:+#,0;-#,0;0}",
                $"{model.Gmacs:0.000}", .. speeds,
            ]);
        }

        costs.Columns.Skip(1).ToList().ForEach(column => column.RightAligned());
        console.Write(costs);
    }

    /// <summary>Writes the page.</summary>
    public static void Write(string path, IReadOnlyList<MemoryStudyRow> rows, IReadOnlyList<MemoryModelRow> models)
    {
        var page = new ReportPage($"Memory in place of MLPs: {string.Join(", ", models.Select(model => model.Model))}");
        page.Paragraph(
            "A teacher and its students find captions by images and images by captions. A student has memory layers in place of some MLPs of its vision tower; every model is measured with its own text tower.");
        page.Heading("In short");
        page.Paragraph("Recall at 1 in percent, and its change against the teacher in points.");
        page.Table(InShort(rows));
        foreach (var direction in rows.Select(row => row.Direction).Distinct())
        {
            page.Plot(MemoryStudyPlot.Bars(rows, direction));
        }

        page.Heading("All measures");
        page.Paragraph(
            "Recalls in percent, ranks from 1. Gained: queries whose best answer is right here and wrong by the teacher; lost: the other way round.");
        page.Table(rows.Select(row => new
        {
            row.Dataset,
            row.Direction,
            row.Model,
            row.Queries,
            R1 = $"{row.R1:0.00}",
            R5 = $"{row.R5:0.00}",
            R10 = $"{row.R10:0.00}",
            MeanRank = $"{row.MeanRank:0.0}",
            MedianRank = $"{row.MedianRank:0}",
            row.Gained,
            row.Lost,
        }).ToDataFrame());
        page.Heading("What the image encoders are made of");
        page.Table(models.Select(model => new
        {
            model.Model,
            model.Name,
            Blocks = model.MemoryBlocks,
            Parameters = $"{model.VisionParameters:N0}",
            Removed = $"{model.MlpRemoved:N0}",
            Added = $"{model.MemoryAdded:N0}",
            Net = $"{model.Net:+#,0;-#,0;0}",
            Gmacs = $"{model.Gmacs:0.000}",
            Speed = model.ImagesPerSecond is { } speed ? $"{speed:0.0} images/s, {model.SpeedRatio:0.00} x" : "",
        }).ToDataFrame());
        page.Paragraph("Blocks: those with a memory. Removed: parameters of the MLPs that memories replace. Added: those of the memories, a shared table once. Speed: of the image encoder on random images, and over the teacher's.");
        page.Write(path);
    }

    private static IEnumerable<MemoryStudyRow[]> Groups(IReadOnlyList<MemoryStudyRow> rows) =>
        rows.GroupBy(row => (row.Dataset, row.Direction)).Select(group => group.ToArray());

    private static string Cell(MemoryStudyRow row) =>
        row.Model == MemoryStudy.Teacher ? $"{row.R1:0.00}" : $"{row.R1:0.00} ({row.R1Change:+0.00;-0.00;0.00})";

    private static DataFrame InShort(IReadOnlyList<MemoryStudyRow> rows)
    {
        var groups = Groups(rows).ToList();
        return new(
        [
            new StringDataFrameColumn("set", groups.Select(group => group[0].Dataset)),
            new StringDataFrameColumn("direction", groups.Select(group => group[0].Direction)),
            .. groups[0].Select((model, place) => new StringDataFrameColumn(model.Model, groups.Select(group => Cell(group[place])))),
        ]);
    }
}
