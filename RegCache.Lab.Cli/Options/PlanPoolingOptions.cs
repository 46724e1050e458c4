using System.CommandLine;
using RegCache.Lab.Pooling;

namespace RegCache.Lab.Cli.Options;

/// <summary>Pooling of a model as it is by options, for commands that run one plan.</summary>
internal sealed class PlanPoolingOptions
{
    private readonly Option<string?> _rule = new("--pool")
    {
        Description = string.Join('\n', [
            "Pool runs of patches to their means, by one of these rules: [default: none are pooled]",
            .. PoolingRules.All.Where(rule => PoolRuns.Untrained.Contains(rule.Name)).Select(rule => $"{rule.Name}: {rule.Help}"),
        ]),
        HelpName = "RULE",
    };

    private readonly Option<double> _rate = new("--pool-rate")
    {
        Description = "Share of the patches at which a run ends: 0.25 leaves every fourth token.", HelpName = "R", DefaultValueFactory = _ => 0.5,
    };

    private readonly Option<int?> _block = new("--pool-block") { Description = "The block before which they are pooled. [default: the middle one]", HelpName = "B" };

    private readonly Option<PatchOrder> _order = OptionOf.Choice(
        "--pool-order", "The order in which patches are a run.", PatchOrder.Raster,
        ("raster", PatchOrder.Raster), ("serpentine", PatchOrder.Serpentine), ("hilbert", PatchOrder.Hilbert));

    private readonly Option<bool> _weighted = new("--pool-proportional-attention") { Description = "Attention counts a pooled token by its patches." };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        _rule.CompletionSources.Add([.. PoolRuns.Untrained]);
        command.AddGroup(OptionGroups.Pooling, _rule, _rate, _block, _order, _weighted);
    }

    /// <summary>The setting; null: nothing is pooled.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="blocks">Blocks of the encoder.</param>
    /// <exception cref="UserException">An option is impossible, or says nothing without --pool.</exception>
    public PoolingSetting? Read(ParseResult arguments, int blocks)
    {
        if (arguments.GetValue(_rule) is not { } rule)
        {
            Option[] others = [_rate, _block, _order, _weighted];
            return others.FirstOrDefault(option => arguments.GetResult(option) is { Implicit: false }) is { } lost
                ? throw new UserException($"{lost.Name} is about pooled patches, and none are pooled; choose a rule by --pool {string.Join('|', PoolRuns.Untrained)}.")
                : null;
        }

        var setting = new PoolingSetting(rule, arguments.GetValue(_rate), arguments.GetValue(_block) ?? (blocks / 2))
        {
            Order = arguments.GetValue(_order), ProportionalAttention = arguments.GetValue(_weighted),
        };
        _ = PoolRuns.WithoutTraining(setting.Rule, setting.Rate);
        return setting;
    }
}
