using CsvHelper;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Merging;

/// <summary>A row of the study of merging methods: what one method achieves at one r.</summary>
/// <param name="Model">Model name.</param>
/// <param name="Method">Method, or "plain".</param>
/// <param name="R">Tokens merged a block, as <see cref="MergeSchedule.Parse"/> reads it.</param>
/// <param name="Top1">Top-1 accuracy, percent.</param>
/// <param name="Top5">Top-5 accuracy, percent.</param>
/// <param name="Gmacs">Billions of multiply-accumulates per image, matching apart.</param>
/// <param name="MacsRatio">The plain model's relative to this one's.</param>
/// <param name="MatchingGmacs">Billions of multiply-accumulates of matching.</param>
/// <param name="ImagesPerSecond">Measured throughput.</param>
/// <param name="SpeedRatio">Throughput relative to the plain model's, measured in turn.</param>
/// <param name="FinalTokens">Tokens that leave the last block.</param>
/// <param name="Images">Images that the accuracy is over.</param>
/// <param name="Batch">Images in a batch of the throughput measurement.</param>
/// <param name="Precision">Number format.</param>
/// <param name="Device">Where it ran.</param>
/// <param name="Threads">Threads.</param>
[CsvRecord]
public sealed partial record MergingStudyRow(
    string Model,
    string Method,
    string R,
    double Top1,
    double Top5,
    double Gmacs,
    double MacsRatio,
    double MatchingGmacs,
    double ImagesPerSecond,
    double SpeedRatio,
    long FinalTokens,
    int Images,
    int Batch,
    string Precision,
    string Device,
    int Threads);

/// <summary>A row of the study of outliers under merging.</summary>
/// <param name="Bits">Bit-widths, or "float".</param>
/// <param name="Registers">Whether the cached prefix is on.</param>
/// <param name="Outliers">What happens to outlier tokens: "none" (no merging), "merge", "protect", "last" or "delete".</param>
/// <param name="Top1">Top-1 accuracy, percent.</param>
/// <param name="Top5">Top-5 accuracy, percent.</param>
/// <param name="Gmacs">Billions of multiply-accumulates per image.</param>
/// <param name="DeletedShare">Share of the outliers that are dropped, in the float model.</param>
/// <param name="MergedShare">Share of the outliers that end in a group with other tokens.</param>
/// <param name="Companions">Tokens that share a group with an outlier, per outlier.</param>
/// <param name="LargestEntry">Largest magnitude of the stream that leaves the last block, mean over images.</param>
[CsvRecord]
public sealed partial record OutlierStudyRow(
    string Bits,
    bool Registers,
    string Outliers,
    double Top1,
    double Top5,
    double Gmacs,
    double DeletedShare,
    double MergedShare,
    double Companions,
    double LargestEntry);

/// <summary>A published number about token compression, as plots of accuracy over cost take it.</summary>
/// <param name="Table">The published table that it is of.</param>
/// <param name="Model">The model, by its name in the kit's table: "vit-s", "deit-s".</param>
/// <param name="Method">"plain", "tome", "dfe", "lgtm" or another method's name.</param>
/// <param name="Accuracy">Top-1 accuracy on ImageNet-1k, percent.</param>
public sealed record PublishedResult(string Table, string Model, string Method, double Accuracy)
{
    /// <summary>The schedule as <see cref="MergeSchedule.Parse"/> reads it; null for the plain model or where none is told.</summary>
    public string? R { get; init; }

    /// <summary>Billions of multiply-accumulates per image.</summary>
    public double? Gmacs { get; init; }

    /// <summary>Images per second.</summary>
    public double? ImagesPerSecond { get; init; }

    /// <summary>How the model was trained, where it was for merging.</summary>
    public string? Training { get; init; }
}

/// <summary>The published accuracies of ToMe and of DFE and LGTM (docs/methods/token-merging.md), from <see cref="PublishedPapers"/>.</summary>
public static class PublishedMerging
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<PublishedResult> All { get; } =
    [
        .. from table in PublishedPapers.Tables
           from row in table.Rows
           where row["method"] is not null && row.Values.ContainsKey("top1")
           select new PublishedResult(table.Id, row["model"]!, row["method"]!, row.Values["top1"])
           {
               R = row["r"],
               Gmacs = Value(row, "gmacs"),
               ImagesPerSecond = Value(row, "images_per_second"),
               Training = row["training"],
           },
    ];

    /// <summary>The models that numbers are known of.</summary>
    public static IReadOnlyList<string> Models { get; } = [.. All.Select(result => result.Model).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>The numbers of one model.</summary>
    /// <exception cref="UserException">No number of that model is known.</exception>
    public static IReadOnlyList<PublishedResult> Of(string model) => Models.Contains(model)
        ? [.. All.Where(result => result.Model == model)]
        : throw new UserException($"No published numbers of '{model}' are known; choose {string.Join(", ", Models)}.");

    private static double? Value(PublishedRow row, string measure) => row.Values.TryGetValue(measure, out var value) ? value : null;
}
