using System.Text.Json;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Notebooks.Pictures;
using RegCache.Lab.Reports;
using Spectre.Console;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>What a merging study shows: its table and plot, the published numbers beside its own, and pictures of merged tokens.</summary>
internal static class StudyMergingReport
{
    // Smaller images are enlarged, so that the outlines leave something to see.
    private const int LeastWidth = 160;

    private static readonly JsonSerializerOptions _jsonLayout = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static void Print(IAnsiConsole console, IReadOnlyList<MergingStudyRow> rows, IReadOnlyList<PublishedResult> published)
    {
        var table = new Table().AddColumns("method", "r", "top-1 %", "top-5 %", "GMACs", "MACs ratio", "images/s", "speed ratio", "tokens");
        foreach (var row in rows)
        {
            table.AddRow(
                row.Method, row.R, $"{row.Top1:0.00}", $"{row.Top5:0.00}", $"{row.Gmacs:0.000}", $"{row.MacsRatio:0.00}",
                $"{row.ImagesPerSecond:0.0}", $"{row.SpeedRatio:0.00}", $"{row.FinalTokens}");
        }

        AlignNumbers(table, 1);
        console.Write(table);
        if (published.Count == 0)
        {
            return;
        }

        var beside = new Table().Title($"published, {published[0].Model}").AddColumns("method", "r", "top-1 %", "GMACs", "images/s", "table");
        foreach (var result in published)
        {
            beside.AddRow(
                result.Method, result.R ?? "", $"{result.Accuracy:0.00}", $"{result.Gmacs:0.00}", $"{result.ImagesPerSecond:0.#}",
                Markup.Escape(result.Training is null ? result.Table : $"{result.Table}, trained {result.Training}"));
        }

        AlignNumbers(beside, 1, 5);
        console.Write(beside);
    }

    /// <summary>Accuracy against cost. A method has a line for r in every block and one for each inflection; points tell their r.</summary>
    public static ParetoPlot Plot(IReadOnlyList<MergingStudyRow> rows, IReadOnlyList<PublishedResult> published)
    {
        var plot = new ParetoPlot();
        plot.Add("GMACs an image", [.. Own(rows, row => row.Gmacs), .. Others(published, result => result.Gmacs)]);
        plot.Add("images per second", Own(rows, row => row.ImagesPerSecond));
        return plot;
    }

    /// <summary>
    /// Writes <c>pictures.png</c>, one row an image: the image, then its merged tokens under each method at the schedule that
    /// merges most; and the sizes of the groups as <c>pictures.json</c>.
    /// </summary>
    /// <param name="experiment">Model and images.</param>
    /// <param name="settings">The points of the study.</param>
    /// <param name="count">Images to show, spread over the set.</param>
    public static void WritePictures(Experiment experiment, IReadOnlyList<MergingSetting> settings, int count)
    {
        var blocks = experiment.Tower.Blocks.Count;
        var tracked = EncoderPlan.Plain(blocks).With(0, block => block with { Before = [new TrackSources()] });
        var shown = settings.Where(setting => setting != MergingSetting.Plain).GroupBy(setting => setting.Method)
            .Select(group => group.MaxBy(setting => setting.Schedule.Total(blocks))!).ToList();
        count = Math.Min(count, experiment.Validation.Count);
        if (count == 0 || shown.Count == 0)
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var indices = Enumerable.Range(0, count).Select(index => (int)((long)index * experiment.Validation.Count / count)).ToArray();
        var images = experiment.Validation.Read(indices);
        if (experiment.Validation is ImageSetSource set)
        {
            // Unreadable images are missing from the batch, too.
            indices = [.. indices.Except(set.Unreadable.Select(image => image.Index))];
            count = indices.Length;
        }

        var scale = Math.Max(1, (LeastWidth + experiment.Preprocess.Width - 1) / experiment.Preprocess.Width);
        var width = scale * experiment.Preprocess.Width;
        var originals = InputPixels.Of(images, experiment.Preprocess).Select(image => PictureGrid.Enlarge(image, experiment.Preprocess.Width, scale)).ToArray();
        var rows = originals.Select(original => new List<byte[]> { original }).ToArray();
        var sizes = new List<object>();
        var (device, type) = experiment.Tower.Placement;
        using var runner = new PlanRunner(experiment.Tower);
        var input = images.to(type, device);
        foreach (var setting in shown)
        {
            var stream = runner.Forward(input, setting.ApplyTo(tracked));
            for (var image = 0; image < count; image++)
            {
                var groups = MergePicture.Groups(stream.Sources![image], stream.Layout.ProtectedTokens);
                rows[image].Add(MergePicture.Draw(
                    originals[image], width, groups, stream.Layout.GridColumns, MergePicture.EdgeColors((int)stream.Length)));
                sizes.Add(new
                {
                    Image = (experiment.Validation as ImageSetSource)?.Name(indices[image]) is { } name ? Path.GetFileName(name) : $"{indices[image]}",
                    Method = setting.Method.Name,
                    R = setting.Schedule.ToString(),
                    Groups = groups.Where(group => group >= 0).CountBy(group => group).Select(group => group.Value).OrderDescending().ToArray(),
                });
            }
        }

        PictureGrid.WritePng(experiment.Directory.PathOf("pictures.png"), rows, width);
        AtomicFile.WriteText(experiment.Directory.PathOf("pictures.json"), JsonSerializer.Serialize(sizes, _jsonLayout));
        experiment.Progress.Message(
            $"pictures.png: columns are the image, {string.Join(", ", shown.Select(setting => $"{setting.Method} r {setting.Schedule}"))}.");
    }

    // Every line starts at the plain model, which comes first.
    private static List<ParetoSeries> Own(IReadOnlyList<MergingStudyRow> rows, Func<MergingStudyRow, double> cost) =>
    [
        .. rows.Skip(1).GroupBy(row => LineOf(row.Method, row.R)).Select(group => new ParetoSeries(
            group.Key, [.. rows.Take(1).Concat(group).Select(row => new ParetoPoint(cost(row), row.Top1, $"{row.Method}, r {row.R}"))])),
    ];

    private static List<ParetoSeries> Others(IReadOnlyList<PublishedResult> published, Func<PublishedResult, double?> cost) =>
    [
        .. published.Where(result => cost(result) is not null).GroupBy(result => LineOf(result.Method, result.R)).Select(group =>
            new ParetoSeries(
                $"{group.Key}, published",
                [.. group.Select(result => new ParetoPoint(cost(result)!.Value, result.Accuracy, result.R is null ? result.Method : $"{result.Method}, r {result.R}"))])
            {
                IsPublished = true,
            }),
    ];

    private static string LineOf(string method, string? r) => r is null ? method : MergeSchedule.Parse(r) switch
    {
        { List: not null } => $"{method}, r by block",
        { Inflection: not 0 and var inflection } => $"{method}, r:{inflection}",
        _ => method,
    };

    private static void AlignNumbers(Table table, int first, int? end = null)
    {
        foreach (var column in table.Columns.Take(end ?? table.Columns.Count).Skip(first))
        {
            column.RightAligned();
        }
    }
}
