namespace RegCache.Lab.Cli.Options;

/// <summary>What the options that every model command has say; see <see cref="RunOptions"/>.</summary>
/// <param name="Device">Where to compute.</param>
/// <param name="Batch">Images a batch. Under the activation scope <c>batch</c>, results depend on it.</param>
/// <param name="Threads">Threads; null: as many as there are processor cores for this process.</param>
/// <param name="Seed">The seed of everything random.</param>
/// <param name="Precision">The number format.</param>
/// <param name="RunDirectory">Where results go; null: the command chooses a folder below <c>runs/</c>.</param>
/// <param name="Verbose">Say more.</param>
/// <param name="DryRun">Only tell what would be done.</param>
/// <param name="Force">Ignore stored stage results.</param>
/// <param name="SkipBadImages">Leave unreadable images out instead of refusing them.</param>
internal sealed record RunSettings(
    ComputeDevice Device,
    int Batch,
    int? Threads,
    long Seed,
    ComputePrecision Precision,
    string? RunDirectory,
    bool Verbose,
    bool DryRun,
    bool Force,
    bool SkipBadImages);
