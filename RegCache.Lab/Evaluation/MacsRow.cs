using CsvHelper;

namespace RegCache.Lab.Evaluation;

/// <summary>What one part of one block costs.</summary>
/// <param name="Block">The block, 0-based; null outside the blocks.</param>
/// <param name="Kind">The part.</param>
/// <param name="Tokens">Tokens that it works on.</param>
/// <param name="Macs">Multiply-accumulates per image.</param>
[CsvRecord]
public sealed partial record MacsRow(int? Block, MacsKind Kind, long Tokens, long Macs);
