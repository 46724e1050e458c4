using System.CommandLine;
using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Options;

/// <summary>The options of RegCache's search: everything in <see cref="RegCacheOptions"/> that is not the quantizer's.</summary>
internal sealed class RegCacheSearchOptions
{
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

    private readonly Option<Recalibration?> _recalibration = OptionOf.OptionalChoice(
        "--recalibrate",
        "How often a search calibrates. [default: as the quantizer recommends]",
        ("every", Recalibration.Every),
        ("two-pass", Recalibration.TwoPass));

    private readonly Option<int> _finalists = OptionOf.Number(
        "--finalists", "In a search of two passes (--recalibrate), how many of the best settings are calibrated again.", 5, 1, 1_000_000);

    private readonly Option<bool> _prune = new("--prune")
    {
        Description = "Drop settings that can no longer win; the selected one stays the same, the table has lower bounds.",
    };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command) => command.AddGroup(
        OptionGroups.Search,
        _sensitivityBits,
        _sensitivityMetric,
        _searchMetric,
        _scoreTensor,
        _topTokens,
        _prefixBlocks,
        _blockSearch,
        _maxPrefix,
        _maxDelete,
        _recalibration,
        _finalists,
        _prune);

    /// <summary>What they say.</summary>
    public RegCacheOptions Read(ParseResult arguments) => new()
    {
        SensitivityBits = arguments.GetValue(_sensitivityBits),
        SensitivityMetric = arguments.GetValue(_sensitivityMetric),
        SearchMetric = arguments.GetValue(_searchMetric),
        ScoreTensor = arguments.GetValue(_scoreTensor),
        TopTokens = arguments.GetValue(_topTokens),
        PrefixBlocks = arguments.GetValue(_prefixBlocks),
        BlockSearch = arguments.GetValue(_blockSearch),
        MaxPrefix = arguments.GetValue(_maxPrefix),
        MaxDelete = arguments.GetValue(_maxDelete),
        Recalibration = arguments.GetValue(_recalibration),
        Finalists = arguments.GetValue(_finalists),
        Prune = arguments.GetValue(_prune),
    };

    private static Option<SearchMetric> Metric(string name, string description) => OptionOf.Choice(
        name, description, SearchMetric.Accuracy, ("accuracy", SearchMetric.Accuracy), ("mse", SearchMetric.Mse));
}

/// <summary>One RegCache setting by options: a prefix file, how often it is repeated, and what is deleted where.</summary>
internal sealed class PrefixSettingOptions
{
    private readonly Option<string?> _prefix = new("--prefix")
    {
        Description = "Prefix file that `extract` wrote; without one no prefix joins.",
        HelpName = "FILE",
    };

    private readonly Option<int> _prefixCount = OptionOf.Number("--prefix-count", "Prefix tokens.", 1, 1, 4096);

    private readonly Option<int?> _deleteBlock = OptionOf.OptionalNumber("--delete-block", "Block before which tokens are deleted.", 0, 4096);

    private readonly Option<int> _deleteCount = OptionOf.Number("--delete-count", "Deleted tokens.", 0, 0, 65536);

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command) => command.AddGroup(OptionGroups.Setting, _prefix, _prefixCount, _deleteBlock, _deleteCount);

    /// <summary>Whether any of them is given.</summary>
    public bool IsGiven(ParseResult arguments) =>
        new Option[] { _prefix, _prefixCount, _deleteBlock, _deleteCount }.Any(option => arguments.GetResult(option) is { Implicit: false });

    /// <summary>The prefix file's content, which the caller disposes; null without one.</summary>
    /// <exception cref="UserException">The file is missing or no prefix file.</exception>
    public PrefixCache? LoadPrefix(ParseResult arguments) =>
        arguments.GetValue(_prefix) is { } path ? PrefixCache.Load(path) : null;

    /// <summary>The setting.</summary>
    /// <exception cref="UserException">It does not fit the model.</exception>
    public RegCacheSetting Read(ParseResult arguments, PrefixCache? cache, VisionTower tower)
    {
        var (layers, deleteCount) = (tower.Blocks.Count, arguments.GetValue(_deleteCount));
        var deleteBlock = arguments.GetValue(_deleteBlock);
        if (cache is null && arguments.GetResult(_prefixCount) is { Implicit: false })
        {
            throw new UserException($"--prefix-count {arguments.GetValue(_prefixCount)}: say which prefix (--prefix FILE).");
        }

        if (deleteBlock is not null && arguments.GetResult(_deleteCount) is null or { Implicit: true })
        {
            throw new UserException($"--delete-block {deleteBlock}: say how many tokens (--delete-count N).");
        }

        if (deleteCount > 0 && deleteBlock is null)
        {
            throw new UserException($"--delete-count {deleteCount}: say before which block (--delete-block K, 0 to {layers - 1}).");
        }

        if (deleteBlock >= layers || deleteCount >= tower.Config.Patches)
        {
            throw new UserException(
                $"--delete-block {deleteBlock} --delete-count {deleteCount}: the model has {layers} blocks and {tower.Config.Patches} patch tokens; choose smaller numbers.");
        }

        if (cache is not null && (cache.ExtractionBlock + cache.Keys.shape[0] != layers || cache.Keys.shape[1] != tower.Config.Width))
        {
            throw new UserException(
                $"The prefix is for {cache.ExtractionBlock + cache.Keys.shape[0]} blocks of width {cache.Keys.shape[1]}, but the model has {layers} of width {tower.Config.Width}; extract one with this model.");
        }

        return new(cache?.ExtractionBlock ?? 0, cache is null ? 0 : arguments.GetValue(_prefixCount), deleteBlock ?? 0, deleteCount);
    }
}
