using System.CommandLine;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Cli.Options;

/// <summary>Which set retrieval is measured on, and where it lies.</summary>
internal sealed class RetrievalSetOptions
{
    private readonly Option<RetrievalFormat> _dataset = new("--dataset")
    {
        Description = string.Join('\n', [
            $"The set: [default: {CocoCaptions.Entry.Name}]",
            .. RetrievalFormats.All.Select(set => $"{set.Name}: {set.Help}"),
        ]),
        HelpName = "SET",
        CustomParser = result => OptionOf.Parse(result, RetrievalFormats.All.Find),
        DefaultValueFactory = _ => CocoCaptions.Entry,
    };

    private readonly Option<string?> _root = new("--root")
    {
        Description = $"The set's folder. [default: {string.Join(", ", RetrievalFormats.All.Select(set => set.Variable?.Name).OfType<string>().Distinct().Select(name => $"${name}"))}]",
        HelpName = "FOLDER",
    };

    private readonly Option<string?> _split = new("--split")
    {
        Description = "Part of the set. [default: "
            + string.Join("; ", RetrievalFormats.All.Where(set => set.Splits.Count > 1).Select(set => $"{set.Name}: the first of {string.Join(", ", set.Splits)}{(set.TakesAnySplit ? ", or any other" : "")}")) + "]",
        HelpName = "NAME",
    };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        _dataset.CompletionSources.Add([.. RetrievalFormats.All.Names]);
        command.AddGroup(OptionGroups.Data, _dataset, _root, _split);
    }

    /// <summary>The set.</summary>
    public RetrievalFormat Read(ParseResult arguments) => arguments.GetRequiredValue(_dataset);

    /// <summary>The part of the set.</summary>
    /// <exception cref="UserException">The set has no such part.</exception>
    public string ReadSplit(ParseResult arguments) => Read(arguments).FindSplit(arguments.GetValue(_split));

    /// <summary>Opens the set; the caller disposes it.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="options">What happens to missing images, and which files are taken.</param>
    /// <param name="cancellation">Stops the listing.</param>
    /// <exception cref="UserException">The set is missing or broken.</exception>
    public RetrievalSet Open(ParseResult arguments, ExperimentOptions options, CancellationToken cancellation) =>
        Read(arguments).Open(arguments.GetValue(_root), ReadSplit(arguments), options.SkipBadImages, options.Decoding, cancellation);
}
