using System.CommandLine;

namespace RegCache.Lab.Cli.Options;

/// <summary>The options of the methods of a list, as options of a command.</summary>
/// <param name="chooser">The option that chooses among the methods: "--baseline".</param>
/// <param name="methods">The methods.</param>
/// <param name="group">
/// The group of help pages for options that methods share; those of one method are a group with its name. Null: no groups.
/// </param>
internal sealed class MethodOptions(string chooser, IReadOnlyList<IListed> methods, string? group = null)
{
    private readonly Dictionary<MethodOption, Option<string?>> _options = methods
        .SelectMany(method => method.Options)
        .Distinct()
        .ToDictionary(option => option, option => Make(option, methods, group is not null));

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var (option, made) in _options)
        {
            if (group is null)
            {
                command.Add(made);
            }
            else
            {
                command.AddGroup(IsOfOne(option, methods) ? $"{group} {Owners(option, methods)}" : group, made);
            }
        }
    }

    /// <summary>The options that were given.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="chosen">The methods that run.</param>
    /// <exception cref="UserException">An option belongs to none of them.</exception>
    public MethodValues Read(ParseResult arguments, params IReadOnlyList<IListed> chosen)
    {
        var given = _options.Where(pair => arguments.GetResult(pair.Value) is { Implicit: false }).ToList();
        foreach (var (option, _) in given)
        {
            if (!chosen.Any(method => method.Options.Contains(option)))
            {
                throw new UserException(
                    $"{option.Name} belongs to {Owners(option, methods)}, not to {(chosen.Count == 0 ? "none" : string.Join(", ", chosen.Select(method => method.Name)))}; leave it out, or choose another method by {chooser}.");
            }
        }

        return new(given.ToDictionary(pair => pair.Key.Name, pair => arguments.GetValue(pair.Value)!));
    }

    private static string Owners(MethodOption option, IReadOnlyList<IListed> methods) =>
        string.Join(", ", methods.Where(method => method.Options.Contains(option)).Select(method => method.Name));

    private static bool IsOfOne(MethodOption option, IReadOnlyList<IListed> methods) =>
        methods.Count(method => method.Options.Contains(option)) == 1;

    // An option's text says whose it is where the group does not.
    private static Option<string?> Make(MethodOption option, IReadOnlyList<IListed> methods, bool hasGroups)
    {
        var isClear = methods.All(method => method.Options.Contains(option)) || (hasGroups && IsOfOne(option, methods));
        var owners = isClear ? "" : $"{Owners(option, methods)}: ";
        var made = new Option<string?>(option.Name)
        {
            Description = $"{owners}{option.Help} [default: {option.WhenAbsent}]",
            HelpName = option.Values,
            CustomParser = result => OptionOf.Parse(result, text =>
            {
                option.Check(text);
                return text;
            }),
        };
        if (option.Values.Contains('|', StringComparison.Ordinal))
        {
            made.CompletionSources.Add(option.Values.Split('|'));
        }

        return made;
    }
}
