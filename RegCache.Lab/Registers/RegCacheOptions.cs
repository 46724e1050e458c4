using RegCache.Lab.Quantization;

namespace RegCache.Lab.Registers;

/// <summary>The choices of a RegCache run that change its numbers; the defaults are the recommended ones of regcache.md, section 13.</summary>
public sealed record RegCacheOptions
{
    /// <summary>Bit-widths of the run.</summary>
    public QuantizationBits Bits { get; init; } = new(8, 8);

    /// <summary>Bit-widths of the sensitivity probe; null uses those of the run.</summary>
    public QuantizationBits? SensitivityBits { get; init; }

    /// <summary>What makes a layer sensitive.</summary>
    public SearchMetric SensitivityMetric { get; init; } = SearchMetric.Accuracy;

    /// <summary>What makes a search cell the best.</summary>
    public SearchMetric SearchMetric { get; init; } = SearchMetric.Accuracy;

    /// <summary>The activation by which register candidates are ranked.</summary>
    public ScoreTensor ScoreTensor { get; init; } = ScoreTensor.BlockInput;

    /// <summary>How many candidates are averaged.</summary>
    public int TopTokens { get; init; } = 100;

    /// <summary>The blocks that see the prefix.</summary>
    public PrefixBlocks PrefixBlocks { get; init; } = PrefixBlocks.FromT;

    /// <summary>How the prefix-extraction block is chosen.</summary>
    public BlockSearch BlockSearch { get; init; } = BlockSearch.Exhaustive;

    /// <summary>Most prefix tokens that are tried.</summary>
    public int MaxPrefix { get; init; } = 15;

    /// <summary>Most deleted tokens that are tried.</summary>
    public int MaxDelete { get; init; } = 10;

    /// <summary>Whether cells that can no longer win are dropped; the selected cell stays the same.</summary>
    public bool Prune { get; init; }

    /// <summary>How often the search calibrates the quantizer; null does what the quantizer recommends.</summary>
    public Recalibration? Recalibration { get; init; }

    /// <summary>In a search of two passes, how many of the best settings are calibrated again.</summary>
    public int Finalists { get; init; } = 5;

    /// <summary>Refuses settings that an encoder cannot run.</summary>
    /// <param name="patches">Number of patch tokens of the encoder.</param>
    /// <exception cref="UserException">A number is out of range; the message names its option.</exception>
    public void Validate(int patches)
    {
        Require(TopTokens >= 1, $"--topn {TopTokens}: average at least one token.");
        Require(MaxPrefix >= 1, $"--max-prefix {MaxPrefix}: try at least one prefix token.");
        Require(Finalists >= 1, $"--finalists {Finalists}: calibrate at least one setting again.");
        Require(
            MaxDelete >= 0 && MaxDelete < patches,
            $"--max-delete {MaxDelete}: an image has {patches} patch tokens, so choose 0 to {patches - 1}.");
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new UserException(message);
        }
    }
}
