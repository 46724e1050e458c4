namespace RegCache.Lab.Data.Images;

/// <summary>How an <see cref="ImageBatchReader"/> reads; none of it changes the pixels of a readable RGB image.</summary>
public sealed record ImageReaderOptions
{
    /// <summary>Threads that decode, by default one a core.</summary>
    public int Workers { get; init; } = Environment.ProcessorCount;

    /// <summary>Batches that are made ready while the consumer works on one.</summary>
    public int BatchesAhead { get; init; } = 2;

    /// <summary>
    /// Bytes of memory for finished crops, so that later passes over the set decode nothing: Height * Width * 3 a crop.
    /// What does not fit is decoded again.
    /// </summary>
    public long CacheBytes { get; init; }

    /// <summary>
    /// Leave out files that cannot be decoded, and name them in <see cref="ImageBatchReader.Unreadable"/>, instead of
    /// refusing the set at the first of them.
    /// </summary>
    public bool SkipBadImages { get; init; }

    /// <summary>
    /// Convert to RGB on loading, before the resize, as the loaders of class folders, web datasets and retrieval sets
    /// do. Matters for palette, alpha, CMYK and 16-bit images only.
    /// </summary>
    public bool RgbOnLoad { get; init; } = true;
}
