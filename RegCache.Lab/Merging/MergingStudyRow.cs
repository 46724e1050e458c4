using CsvHelper;

namespace RegCache.Lab.Merging;

/// <summary>A row of the study's table: what one method achieves at one r.</summary>
/// <param name="Model">Model name.</param>
/// <param name="Method">Method, or "plain".</param>
/// <param name="R">Tokens merged a block.</param>
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
    int R,
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
