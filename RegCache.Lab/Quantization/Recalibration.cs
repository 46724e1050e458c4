namespace RegCache.Lab.Quantization;

/// <summary>How often a search over RegCache settings calibrates the quantizer (regcache.md, section 8.3).</summary>
public enum Recalibration
{
    /// <summary>Never: ranges are taken afresh from every batch.</summary>
    Never,

    /// <summary>Once for each extraction block, then again for the best settings, among which the search decides.</summary>
    TwoPass,

    /// <summary>For every setting.</summary>
    Every,
}
