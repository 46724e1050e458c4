using CsvHelper;

namespace RegCache.Lab.Tests.Reports;

/// <summary>A row with what the kit's tables have: counts, figures, texts, gaps.</summary>
[CsvRecord]
internal sealed partial record CsvRow(string Model, int WBits, long Correct, double ValTop1, double? Mse);
