using CsvHelper;

namespace RegCache.Lab.Registers;

/// <summary>A row of the result table, one a run (regcache.md, section 9). Accuracies in percent.</summary>
[CsvRecord]
internal sealed partial record ResultRow(
    DateTimeOffset Timestamp,
    string Model,
    string Pretrained,
    string Baseline,
    int WBits,
    int ABits,
    string Scope,
    int K,
    string Layer,
    string Candidates,
    int T,
    string PrefixBlocks,
    int Tau,
    int DeleteBlock,
    int DeleteCount,
    double SearchAccuracy,
    double ValTop1,
    double ValTop5,
    double ValTop1WithoutRegcache,
    double ValTop1Float,
    int NVal,
    double Seconds)
{
    public static ResultRow Of(
        RegCacheSubject subject, RegCacheOptions options, RegCacheReport report, FinalScores scores, TimeSpan time) => new(
        DateTimeOffset.Now,
        subject.Model,
        subject.Pretrained,
        BaselineNames.NameOf(subject.Baseline),
        options.Bits.Weights,
        options.Bits.Activations,
        subject.Scope,
        report.SensitiveBlock,
        report.SensitiveLayer,
        string.Join(' ', report.Candidates),
        report.Selected.ExtractionBlock,
        string.Join(' ', report.PrefixAddBlocks),
        report.Selected.PrefixCount,
        report.Selected.DeleteBlock,
        report.Selected.DeleteCount,
        report.SearchAccuracy,
        scores.Both.Accuracy,
        scores.Both.AccuracyTop5,
        scores.Without.Accuracy,
        scores.Float.Accuracy,
        scores.Both.Images,
        time.TotalSeconds);
}
