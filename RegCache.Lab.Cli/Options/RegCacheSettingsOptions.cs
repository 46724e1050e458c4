using System.CommandLine;
using RegCache.Lab.Data;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Options;

/// <summary>The options of a search: everything in <see cref="RegCacheOptions"/>, and the order of the images.</summary>
internal sealed class RegCacheSettingsOptions
{
    private readonly Option<QuantizationBits> _bits = new("--bits")
    {
        Description = "Bit-widths of weights and activations, W8A8 or 8.",
        HelpName = "WwAa",
        CustomParser = result => OptionOf.Parse(result, QuantizationBits.Parse),
        DefaultValueFactory = _ => new(8, 8),
    };

    private readonly Option<Recalibration?> _recalibration = OptionOf.OptionalChoice(
        "--recalibrate",
        "How often a search calibrates. [default: as the quantizer recommends]",
        ("every", Recalibration.Every),
        ("two-pass", Recalibration.TwoPass));

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

    /// <summary>Adds the options that commands without a search have, too.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _bits, _order, _recalibration })
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
        Recalibration = arguments.GetValue(_recalibration),
    };

    /// <summary>The bit-widths of the run.</summary>
    public QuantizationBits ReadBits(ParseResult arguments) => arguments.GetRequiredValue(_bits);

    /// <summary>The order of the images.</summary>
    public ImageOrder ReadOrder(ParseResult arguments) => arguments.GetValue(_order);

    private static Option<SearchMetric> Metric(string name, string description) => OptionOf.Choice(
        name, description, SearchMetric.Accuracy, ("accuracy", SearchMetric.Accuracy), ("mse", SearchMetric.Mse));
}
