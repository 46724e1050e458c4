using System.Collections;
using System.CommandLine;
using System.CommandLine.Invocation;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace RegCache.Lab.Cli;

/// <summary>The page of <c>--help</c>: what a command does, and its options in groups, each default once and as the option takes it.</summary>
internal sealed class HelpPage : SynchronousCommandLineAction
{
    private const int LeastWidth = 60;
    private const int MostWidth = 120;
    private const int MostNames = 36;
    private const string Ungrouped = "Options";
    private const string Default = "[default: ";

    // No line ends between the word and the value.
    private const string Kept = "[default:\0";

    /// <inheritdoc/>
    public override bool ClearsParseErrors => true;

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        var width = Console.IsOutputRedirected ? MostWidth : Math.Clamp(Console.WindowWidth - 1, LeastWidth, MostWidth);
        Write(parseResult.CommandResult.Command, parseResult.InvocationConfiguration.Output, width);
        return ExitCode.Success;
    }

    /// <summary>Writes a command's page.</summary>
    /// <param name="command">The command.</param>
    /// <param name="output">Where to.</param>
    /// <param name="width">Characters a line.</param>
    public static void Write(Command command, TextWriter output, int width)
    {
        foreach (var line in Wrapped(command.Description ?? "", width))
        {
            output.WriteLine(line);
        }

        output.WriteLine();
        output.WriteLine($"Usage: {Usage(command)}");
        WriteRows("Arguments", [.. command.Arguments.Select(argument => ($"<{argument.Name}>", argument.Description ?? ""))], output, width);
        var general = command.Options.Any(option => OptionGroups.Of(option) == OptionGroups.Running) ? OptionGroups.Running : Ungrouped;
        var groups = command.Options.Concat(Above(command).SelectMany(parent => parent.Options).Where(option => option.Recursive))
            .Where(option => !option.Hidden)
            .OrderBy(option => option.Recursive)
            .GroupBy(option => option.Recursive ? general : OptionGroups.Of(option) ?? Ungrouped)
            .OrderBy(group => group.Key switch { Ungrouped => 0, OptionGroups.Running => 2, _ => 1 });
        foreach (var group in groups)
        {
            WriteRows(group.Key, [.. group.Select(option => (Label(option), Text(option)))], output, width);
        }

        WriteRows("Commands", [.. command.Subcommands.Select(inner => (inner.Name, inner.Description ?? ""))], output, width);
    }

    private static IEnumerable<Command> Above(Command command) =>
        command.Parents.OfType<Command>().SelectMany(parent => Above(parent).Prepend(parent));

    private static string Usage(Command command)
    {
        var words = Above(command).Reverse().Append(command).Select(one => one is RootCommand ? "regcache" : one.Name);
        var arguments = command.Arguments.Select(argument => $"<{argument.Name}>{(argument.Arity.MaximumNumberOfValues > 1 ? "..." : "")}");
        return string.Join(' ', [.. words, .. arguments, command.Subcommands.Count > 0 ? "<command> [options]" : "[options]"]);
    }

    private static string Label(Option option)
    {
        var names = string.Join(", ", option.Aliases.Append(option.Name).Where(name => name[0] == '-').OrderBy(name => name == option.Name).ThenBy(name => name.Length));
        return option.ValueType == typeof(bool) || option.HelpName is null ? names : $"{names} <{option.HelpName}>";
    }

    /// <summary>What an option does, with its default.</summary>
    public static string Text(Option option)
    {
        var text = option.Description ?? "";
        return option.Required ? $"{text} (required)"
            : text.Contains(Default, StringComparison.Ordinal) || option.ValueType == typeof(bool) || !option.HasDefaultValue ? text
            : $"{text} {Default}{Spelled(option.GetDefaultValue())}]";
    }

    private static string Spelled(object? value) => value is IEnumerable list and not string
        ? string.Join(',', list.Cast<object>().Select(Spelled))
        : Convert.ToString(value, CultureInfo.InvariantCulture)!;

    private static void WriteRows(string title, IReadOnlyList<(string Name, string Text)> rows, TextWriter output, int width)
    {
        if (rows.Count == 0)
        {
            return;
        }

        output.WriteLine();
        output.WriteLine($"{title}:");
        var names = Math.Min(MostNames, rows.Max(row => row.Name.Length)) + 4;
        foreach (var (name, text) in rows)
        {
            var lines = Wrapped(text, width - names).ToList();
            // A long name has a line of its own.
            var first = name.Length + 4 <= names ? $"  {name}".PadRight(names) + lines[0] : $"  {name}";
            output.WriteLine(first.TrimEnd());
            foreach (var line in name.Length + 4 <= names ? lines.Skip(1) : lines)
            {
                output.WriteLine(new string(' ', names) + line);
            }
        }
    }

    private static IEnumerable<string> Wrapped(string text, int width)
    {
        if (text.Contains('\n', StringComparison.Ordinal))
        {
            return text.Split('\n').SelectMany(line => Wrapped(line, width));
        }

        var lines = new List<string>();
        var line = "";
        foreach (var word in text.Replace(Default, Kept, StringComparison.Ordinal).Split(' ').Select(word => word.Replace(Kept, Default, StringComparison.Ordinal)))
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > width)
            {
                lines.Add(line);
                line = word;
            }
            else
            {
                line = line.Length == 0 ? word : $"{line} {word}";
            }
        }

        lines.Add(line);
        return lines;
    }
}

/// <summary>The groups in which help pages show options.</summary>
internal static class OptionGroups
{
    public const string Data = "Data";
    public const string Model = "Model";
    public const string Quantizer = "Quantizer";
    public const string Search = "RegCache's search";
    public const string Setting = "RegCache's setting";
    public const string Merging = "Merging";
    public const string Pooling = "Pooling";
    public const string Results = "Results";
    public const string Running = "Running";

    private static readonly ConditionalWeakTable<Option, string> _groups = [];

    /// <summary>Adds options to a command, as a group.</summary>
    public static void AddGroup(this Command command, string group, params IEnumerable<Option> options)
    {
        foreach (var option in options)
        {
            _groups.Add(option, group);
            command.Add(option);
        }
    }

    /// <summary>Lets something add its options, and makes those that are in no group one.</summary>
    public static void AddGroup(this Command command, string group, Action<Command> add)
    {
        var before = command.Options.Count;
        add(command);
        foreach (var option in command.Options.Skip(before))
        {
            _groups.TryAdd(option, group);
        }
    }

    /// <summary>The group of an option; null: none.</summary>
    public static string? Of(Option option) => _groups.TryGetValue(option, out var group) ? group : null;
}
