using System.Text.Json;
using Microsoft.Data.Analysis;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Notebooks;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Notebooks.Pictures;
using RegCache.Lab.Notebooks.Plots;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using TorchSharp;

namespace RegCache.Lab.Cli.Demo;

/// <summary>The demo's results as one page: tables, plots and pictures.</summary>
internal static class DemoReport
{
    private const int Pictures = 6;
    private const int NormImages = 256;

    /// <summary>Writes the page.</summary>
    /// <param name="path">The file.</param>
    /// <param name="experiment">The model and its images.</param>
    /// <param name="runs">The pipeline's result and line of the table, by bit-width, in the order in which they ran.</param>
    public static void Write(string path, Experiment experiment, IReadOnlyList<(RegCacheSummary Summary, RegCacheResult Result)> runs)
    {
        var (clip, images) = (experiment.Clip, experiment.Search);
        var page = new ReportPage("RegCache on the demo model");
        page.Paragraph(
            "A tiny CLIP, trained by this kit on generated pictures of coloured shapes, classifies 48 combinations of colour and shape zero-shot. A few of its patch tokens become registers: outliers of huge norm, alike in all images, that later blocks use as attention sinks. They stretch the range that activations are quantized in, and accuracy falls. RegCache inserts a cached register prefix and deletes the image's own outliers, and accuracy returns.");
        if (Origin(clip) is var (learned, planted))
        {
            page.Paragraph($"Learned in this model: {learned}");
            page.Paragraph($"Planted in this model: {planted}");
        }

        page.Heading("What RegCache recovers");
        page.Paragraph("Everything was chosen on the search images; the accuracies are of other images.");
        page.Table(Summaries([.. runs.Select(one => one.Summary)]));
        page.Plot(RegCacheSummaryPlot.Bars([.. runs.Select(one => one.Summary)]));

        var (summary, result) = runs[0];
        page.Heading("Where outlier tokens arise");
        var norms = TokenNorms.Measure(experiment.Tower, images, NormImages, experiment.Pass("report: norms"));
        page.Plot(TokenNormsPlot.ByBlock(norms));
        page.Table(norms.Select(row => new
        {
            Stream = row.Place,
            MedianNorm = Math.Round(row.MedianNorm, 1),
            MaxNorm = Math.Round(row.MaxNorm, 1),
            Ratio = Math.Round(row.Ratio, 1),
            Outliers = $"{row.Outliers:0.0} ({row.FewestOutliers} .. {row.MostOutliers})",
            OutlierCosine = $"{row.OutlierCosine:0.000}",
            PatchCosine = $"{row.PatchCosine:0.000}",
        }).ToDataFrame());
        page.Heading("Where they sit");
        page.Paragraph(
            $"Search images with the patches outlined whose norm after block {result.Report.SensitiveBlock} exceeds {TokenNorms.OutlierFactor} times the image's median; below, the norms of all patches on a logarithmic scale.");
        AddPicture(page, clip, images, result.Report.SensitiveBlock);
        page.Heading($"Which layer suffers most ({summary.Bits})");
        page.Plot(SensitivityPlot.Bars(result.Sensitivity));
        page.Plot(SensitivityPlot.Bars(result.Sensitivity, SearchMetric.Accuracy));
        page.Heading($"Prefix count and delete count ({summary.Bits})");
        page.Plot(SearchGridPlot.HeatMap(result.Grid, result.Report.Selected.ExtractionBlock));
        foreach (var (line, one) in runs)
        {
            page.Heading($"The ten lines, {line.Bits}");
            page.Lines(one.Report.Lines());
        }

        page.Write(path);
    }

    private static DataFrame Summaries(IReadOnlyList<RegCacheSummary> rows) => rows.Select(row => new
    {
        row.Bits,
        Float = $"{row.Float:0.00}",
        Quantized = $"{row.Quantized:0.00}",
        PrefixOnly = $"{row.PrefixOnly:0.00}",
        DeleteOnly = $"{row.DeleteOnly:0.00}",
        Both = $"{row.Both:0.00}",
        Setting = new RegCacheSetting(row.ExtractionBlock, row.PrefixCount, row.DeleteBlock, row.DeleteCount).InWords(),
    }).ToDataFrame();

    private static void AddPicture(ReportPage page, LoadedClip clip, IImageSource images, int block)
    {
        using var scope = torch.NewDisposeScope();
        // Spread over the set, so that several classes show.
        var chosen = Enumerable.Range(0, Pictures).Select(index => index * images.Count / Pictures).ToArray();
        var batch = images.Read(chosen);
        using var picture = RegisterPicture.Draw(batch, clip.Preprocess, PatchNorms.Measure(clip.Model.Vision, batch, block));
        page.Picture(picture, "Images with outlined register patches, and maps of their patch norms");
    }

    // What the model's card says about the registers; other models have no such card.
    private static (string Learned, string Planted)? Origin(LoadedClip clip)
    {
        var card = Path.Combine(clip.Folder, "model-card.json");
        if (!File.Exists(card))
        {
            return null;
        }

        using var json = JsonDocument.Parse(File.ReadAllText(card));
        return (json.RootElement.GetProperty("learned").GetString()!, json.RootElement.GetProperty("planted").GetString()!);
    }
}
