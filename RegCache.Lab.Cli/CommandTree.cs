using System.CommandLine;
using System.CommandLine.Help;

namespace RegCache.Lab.Cli;

/// <summary>Arranges commands by the words that call them.</summary>
internal static class CommandTree
{
    private const string Description =
        "RegCache.Lab: experiments on the token stream of vision transformers. 'regcache COMMAND --help' tells a command's options.";

    private static readonly Dictionary<string, string> GroupDescriptions = new()
    {
        ["data"] = "Tells about data sets, checks them, draws samples and makes pictures.",
        ["data make"] = "Generates a data set and writes it to files.",
        ["eval"] = "Evaluates a model.",
        ["lm"] = "Uses language models.",
        ["model"] = "Tells about model files.",
        ["notebook"] = "Runs notebooks, headless or as a Jupyter kernel.",
        ["study"] = "Compares many ways to run one model.",
        ["train"] = "Trains models.",
    };

    /// <summary>Shows causes and stack traces of errors; known to every command.</summary>
    public static Option<bool> Verbose { get; } =
        new("--verbose", "-v") { Description = "Say more; show the details of errors.", Recursive = true };

    /// <summary>The root of all commands. Without a command it prints its help.</summary>
    /// <param name="commands">The commands.</param>
    /// <param name="execute">Runs one of them.</param>
    public static RootCommand Build(IEnumerable<KitCommand> commands, Func<KitCommand, ParseResult, int> execute)
    {
        var root = new RootCommand(Description) { Verbose };
        var help = root.Options.OfType<HelpOption>().Single();
        (help.Action, help.Description) = (new HelpPage(), "Show this page.");
        root.Options.OfType<VersionOption>().Single().Description = "Show the version.";
        root.SetAction(_ => root.Parse("--help").Invoke());
        foreach (var command in commands)
        {
            var words = command.Path.Split(' ');
            var declared = new Command(words[^1], command.Description);
            command.Declare(declared);
            declared.SetAction(parsed => execute(command, parsed));
            Group(root, words[..^1]).Add(declared);
        }

        return root;
    }

    private static Command Group(Command root, string[] words)
    {
        if (words.Length == 0)
        {
            return root;
        }

        var parent = Group(root, words[..^1]);
        var group = parent.Subcommands.FirstOrDefault(command => command.Name == words[^1]);
        if (group is null)
        {
            group = new Command(words[^1], GroupDescriptions.GetValueOrDefault(string.Join(' ', words)));
            parent.Add(group);
        }

        return group;
    }
}
