using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Cli.Options;

/// <summary>Makes options whose mistakes are told in one sentence that names the option and what it accepts.</summary>
internal static class OptionOf
{
    private const int MostThreads = 4096;

    /// <summary>An option with a few named values.</summary>
    public static Option<T> Choice<T>(string name, string description, T whenAbsent, params (string Name, T Value)[] choices)
    {
        var spelled = choices.Single(choice => EqualityComparer<T>.Default.Equals(choice.Value, whenAbsent)).Name;
        var option = OneOf(name, $"{description} [default: {spelled}]", choices);
        option.DefaultValueFactory = _ => whenAbsent;
        return option;
    }

    /// <summary>The same without a default: null when it is not given.</summary>
    public static Option<T?> OptionalChoice<T>(string name, string description, params (string Name, T Value)[] choices)
        where T : struct =>
        OneOf<T?>(name, description, [.. choices.Select(choice => (choice.Name, (T?)choice.Value))]);

    /// <summary>An option with a whole number in a range.</summary>
    public static Option<T> Number<T>(string name, string description, T whenAbsent, T least, T most)
        where T : struct, IBinaryInteger<T> =>
        new(name)
        {
            Description = description,
            HelpName = "N",
            DefaultValueFactory = _ => whenAbsent,
            CustomParser = result => Parse(result, text => MethodOption.ParseNumber(name, text, least, most)),
        };

    /// <summary>The same without a default: null when it is not given.</summary>
    public static Option<T?> OptionalNumber<T>(string name, string description, T least, T most)
        where T : struct, IBinaryInteger<T> =>
        new(name)
        {
            Description = description,
            HelpName = "N",
            CustomParser = result => Parse<T?>(result, text => MethodOption.ParseNumber(name, text, least, most)),
        };

    /// <summary><c>--device</c>.</summary>
    public static Option<ComputeDevice> Device() => Choice(
        "--device", "Where to compute.", ComputeDevice.Cpu, ("cpu", ComputeDevice.Cpu), ("cuda", ComputeDevice.Cuda));

    /// <summary><c>--threads</c>.</summary>
    public static Option<int?> Threads() => OptionalNumber("--threads", "Threads. [default: all cores]", 1, MostThreads);

    /// <summary>The values of an option that takes a list; the parser's own value is empty when it is not given.</summary>
    public static T[] Given<T>(ParseResult arguments, Option<T[]> option, params T[] whenAbsent) =>
        arguments.GetValue(option) is { Length: > 0 } given ? given : whenAbsent;

    /// <summary>Reads an option's one word with a function whose <see cref="UserException"/> becomes a parse error.</summary>
    public static T? Parse<T>(ArgumentResult result, Func<string, T> read) => Parse(result, result.Tokens[0].Value, read);

    /// <summary>The same for one of several words.</summary>
    public static T? Parse<T>(ArgumentResult result, string word, Func<string, T> read)
    {
        try
        {
            return read(word);
        }
        catch (UserException exception)
        {
            result.AddError(exception.Message);
            return default;
        }
    }

    private static Option<T> OneOf<T>(string name, string description, (string Name, T Value)[] choices)
    {
        if ((Nullable.GetUnderlyingType(typeof(T)) ?? typeof(T)) == typeof(bool))
        {
            throw new ArgumentException("For truth values the parser takes no words but true and false: use an enumeration.", nameof(choices));
        }

        var option = new Option<T>(name)
        {
            Description = description,
            HelpName = string.Join('|', choices.Select(choice => choice.Name)),
            CustomParser = result => Parse(result, text => Array.FindIndex(choices, choice => choice.Name == text) is var index and >= 0
                ? choices[index].Value
                : throw new UserException($"{name} must be {string.Join(" or ", choices.Select(choice => choice.Name))}, not '{text}'")),
        };
        option.CompletionSources.Add(choices.Select(choice => choice.Name).ToArray());
        return option;
    }
}
