using System.CommandLine;
using RegCache.Lab.Merging;

namespace RegCache.Lab.Cli.Options;

/// <summary>One merging method by options, for commands that run one plan.</summary>
internal sealed class MergingOptions
{
    private readonly Option<MergingMethod?> _method = new("--merging")
    {
        Description = string.Join('\n', [
            "Merge tokens, by one of these methods: [default: none merge]",
            .. MergingMethods.All.Select(method => $"{method.Name}: {method.Help}"),
        ]),
        HelpName = "METHOD",
        CustomParser = result => OptionOf.Parse(result, MergingMethods.All.Find),
    };

    private readonly Option<MergeSchedule?> _schedule = new("--r")
    {
        Description = "Tokens to merge: r in every block (8), r with an inflection from -1, falling, to 1, rising (8:-1), or one number a block (0/3/0/6).",
        HelpName = "R",
        CustomParser = result => OptionOf.Parse(result, MergeSchedule.Parse),
    };

    private readonly MethodOptions _ofMethods = new("--merging", MergingMethods.All, OptionGroups.Merging);

    private readonly Option<bool> _unweighted = new("--no-proportional-attention")
    {
        Description = "Attention does not count a token by its size: for off-the-shelf MAE models.",
    };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        _method.CompletionSources.Add([.. MergingMethods.All.Names]);
        command.AddGroup(OptionGroups.Merging, _method, _schedule, _unweighted);
        _ofMethods.AddTo(command);
    }

    /// <summary>The setting; null: no token merges.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="seed">Seed of the random methods.</param>
    /// <exception cref="UserException">An option is missing, or belongs to no or another method.</exception>
    public MergingSetting? Read(ParseResult arguments, long seed)
    {
        var (method, schedule) = (arguments.GetValue(_method), arguments.GetValue(_schedule));
        var options = _ofMethods.Read(arguments, method is null ? [] : [method]);
        return (method, schedule) switch
        {
            (null, not null) => throw new UserException($"--r {schedule}: say by which method (--merging {string.Join(", ", MergingMethods.All.Names)})."),
            (not null, null) => throw new UserException($"--merging {method}: say how many tokens (--r 8)."),
            (null, null) when arguments.GetValue(_unweighted) =>
                throw new UserException("--no-proportional-attention is about merged tokens, and none merge; choose a method by --merging."),
            (null, null) => null,
            ({ } chosen, { } counts) => new(chosen, counts) { Options = options.Of(chosen), ProportionalAttention = !arguments.GetValue(_unweighted), Seed = seed },
        };
    }
}
