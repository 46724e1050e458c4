using CsvHelper;

namespace RegCache.Lab.Merging;

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
