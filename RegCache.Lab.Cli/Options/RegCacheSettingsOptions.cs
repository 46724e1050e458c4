using System.CommandLine;
using RegCache.Lab.Data;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Options;

/// <summary>The options of quantizer and search: everything in <see cref="RegCacheOptions"/> and the naive quantizer.</summary>
internal sealed class RegCacheSettingsOptions
{
    private readonly Option<QuantizationBits> _bits = new("--bits")
    {
        Description = "Bit-widths of weights and activations, W8A8 or 8. [default: W8A8]",
        HelpName = "WwAa",
        CustomParser = result => OptionOf.Parse(result, QuantizationBits.Parse),
        DefaultValueFactory = _ => new(8, 8),
    };

    private readonly Option<ActivationScope> _scope = OptionOf.Choice(
        "--scope",
        "Over what a dynamic activation range is taken.",
        ActivationScope.Batch,
        ("batch", ActivationScope.Batch),
        ("image", ActivationScope.Image),
        ("token", ActivationScope.Token));

    private readonly Option<WeightGranularity> _granularity = OptionOf.Choice(
        "--weight-granularity",
        "Over what a weight scale is taken.",
        WeightGranularity.Row,
        ("row", WeightGranularity.Row),
        ("tensor", WeightGranularity.Tensor));

    private readonly Option<ActivationRange> _range = OptionOf.Choice(
        "--activation-range",
        "Grid of the activations.",
        ActivationRange.Symmetric,
        ("symmetric", ActivationRange.Symmetric),
        ("asymmetric", ActivationRange.Asymmetric));

    private readonly Option<QuantizationBits?> _sensitivityBits = new("--sensitivity-bits")
    {
        Description = "Bit-widths of the sensitivity probe. [default: those of --bits]",
        HelpName = "WwAa",
        CustomParser = result => OptionOf.Parse(result, QuantizationBits.Parse),
    };

    private readonly Option<SearchMetric> _sensitivityMetric = Metric(
        "--sensitivity-metric", "What makes a layer sensitive: lost accuracy, or feature error, which needs no labels.");

    private readonly Option<SearchMetric> _searchMetric = Metric("--search-metric", "What makes a setting the best.");

    private readonly Option<ScoreTensor> _scoreTensor = OptionOf.Choice(
        "--score-tensor",
        "Activation by which register candidates are ranked.",
        ScoreTensor.BlockInput,
        ("block_input", ScoreTensor.BlockInput),
        ("fc2_input", ScoreTensor.MlpHidden));

    private readonly Option<int> _topTokens = OptionOf.Number("--topn", "Candidates that are averaged.", 100, 1, 1_000_000);

    private readonly Option<PrefixBlocks> _prefixBlocks = OptionOf.Choice(
        "--prefix-blocks",
        "Blocks that see the prefix.",
        PrefixBlocks.FromT,
        ("from_t", PrefixBlocks.FromT),
        ("only_t", PrefixBlocks.OnlyT));

    private readonly Option<BlockSearch> _blockSearch = OptionOf.Choice(
        "--block-search",
        "Search the whole grid for every candidate block, or choose the block with one prefix token first.",
        BlockSearch.Exhaustive,
        ("exhaustive", BlockSearch.Exhaustive),
        ("two-step", BlockSearch.TwoStep));

    private readonly Option<int> _maxPrefix = OptionOf.Number("--max-prefix", "Most prefix tokens that are tried.", 15, 1, 4096);

    private readonly Option<int> _maxDelete = OptionOf.Number("--max-delete", "Most deleted tokens that are tried.", 10, 0, 65536);

    private readonly Option<int> _finalists = OptionOf.Number(
        "--finalists", "In a search of two passes (--recalibrate), how many of the best settings are calibrated again.", 5, 1, 1_000_000);

    private readonly Option<bool> _prune = new("--prune")
    {
        Description = "Drop settings that can no longer win; the selected one stays the same, the table has lower bounds.",
    };

    private readonly Option<ImageOrder> _order = OptionOf.Choice(
        "--image-order",
        "Order of the images, which decides what shares a batch.",
        ImageOrder.Class,
        ("class", ImageOrder.Class),
        ("name", ImageOrder.Name));

    private enum ActivationRange
    {
        Symmetric,
        Asymmetric,
    }

    /// <summary>Adds the options of the quantizer and of reading images.</summary>
    public void AddQuantizerTo(Command command)
    {
        foreach (var option in new Option[] { _bits, _scope, _granularity, _range, _order })
        {
            command.Add(option);
        }
    }

    /// <summary>Adds the options of the search.</summary>
    public void AddSearchTo(Command command)
    {
        Option[] options =
        [
            _sensitivityBits, _sensitivityMetric, _searchMetric, _scoreTensor, _topTokens, _prefixBlocks, _blockSearch, _maxPrefix,
            _maxDelete, _finalists, _prune,
        ];
        foreach (var option in options)
        {
            command.Add(option);
        }
    }

    /// <summary>What the search options say.</summary>
    public RegCacheOptions Read(ParseResult arguments) => new()
    {
        Bits = arguments.GetRequiredValue(_bits),
        SensitivityBits = arguments.GetValue(_sensitivityBits),
        SensitivityMetric = arguments.GetValue(_sensitivityMetric),
        SearchMetric = arguments.GetValue(_searchMetric),
        ScoreTensor = arguments.GetValue(_scoreTensor),
        TopTokens = arguments.GetValue(_topTokens),
        PrefixBlocks = arguments.GetValue(_prefixBlocks),
        BlockSearch = arguments.GetValue(_blockSearch),
        MaxPrefix = arguments.GetValue(_maxPrefix),
        MaxDelete = arguments.GetValue(_maxDelete),
        Finalists = arguments.GetValue(_finalists),
        Prune = arguments.GetValue(_prune),
    };

    /// <summary>The bit-widths of the run.</summary>
    public QuantizationBits ReadBits(ParseResult arguments) => arguments.GetRequiredValue(_bits);

    /// <summary>The order of the images.</summary>
    public ImageOrder ReadOrder(ParseResult arguments) => arguments.GetValue(_order);

    /// <summary>Over what activation ranges are taken.</summary>
    public ActivationScope ReadScope(ParseResult arguments) => arguments.GetValue(_scope);

    /// <summary>The naive quantizer at given bit-widths.</summary>
    public NaiveQuantizer Naive(ParseResult arguments, QuantizationBits bits) => new(bits)
    {
        Scope = arguments.GetValue(_scope),
        Granularity = arguments.GetValue(_granularity),
        AsymmetricActivations = arguments.GetValue(_range) == ActivationRange.Asymmetric,
    };

    private static Option<SearchMetric> Metric(string name, string description) => OptionOf.Choice(
        name, description, SearchMetric.Accuracy, ("accuracy", SearchMetric.Accuracy), ("mse", SearchMetric.Mse));
}
