using System.Collections;
using System.Globalization;
using System.Numerics;

namespace RegCache.Lab;

/// <summary>A method that can be chosen by name: an entry of an <see cref="OpenList{T}"/>.</summary>
public interface IListed
{
    /// <summary>The name by which it is asked for, in commands, notebooks and result files.</summary>
    string Name { get; }

    /// <summary>What it is, in one line.</summary>
    string Help { get; }

    /// <summary>What can be set about it. Methods may share an option.</summary>
    IReadOnlyList<MethodOption> Options { get; }
}

/// <summary>
/// All methods of one kind. Commands, help texts and notebooks read the list, so a new method is a new file and one line
/// here.
/// </summary>
/// <param name="kind">What the entries are, for messages: "baseline".</param>
/// <param name="entries">The entries, in the order of help texts.</param>
public sealed class OpenList<T>(string kind, params IReadOnlyList<T> entries) : IReadOnlyList<T>
    where T : IListed
{
    /// <inheritdoc />
    public int Count => entries.Count;

    /// <summary>The names, in order.</summary>
    public IReadOnlyList<string> Names => [.. entries.Select(entry => entry.Name)];

    /// <summary>The options of all entries, each once.</summary>
    public IReadOnlyList<MethodOption> Options => [.. entries.SelectMany(entry => entry.Options).Distinct()];

    /// <inheritdoc />
    public T this[int index] => entries[index];

    /// <summary>The entry of that name; names are case-sensitive.</summary>
    /// <exception cref="UserException">There is none; the message gives the names that there are.</exception>
    public T Find(string name) => entries.FirstOrDefault(entry => entry.Name == name)
        ?? throw new UserException($"The {kind} '{name}' is unknown: it must be exactly one of {string.Join(", ", Names)}.");

    /// <inheritdoc />
    public IEnumerator<T> GetEnumerator() => entries.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>Something that can be set about a method, as text. Options compare by identity.</summary>
/// <param name="name">The name with its dashes: "--search-rounds".</param>
/// <param name="help">What it does, in one sentence.</param>
/// <param name="values">The values that it takes, for help texts: "on|off".</param>
/// <param name="whenAbsent">What holds when it is not given, as it would be written.</param>
public abstract class MethodOption(string name, string help, string values, string whenAbsent)
{
    /// <summary>The name with its dashes.</summary>
    public string Name { get; } = name;

    /// <summary>What it does, in one sentence.</summary>
    public string Help { get; } = help;

    /// <summary>The values that it takes, for help texts: "on|off" or "N".</summary>
    public string Values { get; } = values;

    /// <summary>What holds when it is not given, as it would be written.</summary>
    public string WhenAbsent { get; } = whenAbsent;

    /// <summary>Checks a value.</summary>
    /// <exception cref="UserException">The option does not take it; the message says what it takes.</exception>
    public abstract void Check(string text);

    /// <summary>An option with a few named values.</summary>
    /// <param name="name">The name with its dashes.</param>
    /// <param name="help">What it does.</param>
    /// <param name="whenAbsent">The name of the value that holds when the option is not given.</param>
    /// <param name="choices">The values.</param>
    public static MethodOption<T> Choice<T>(string name, string help, string whenAbsent, params (string Name, T Value)[] choices) =>
        Choice(name, help, whenAbsent, choices.Single(choice => choice.Name == whenAbsent).Value, choices);

    /// <summary>The same where what holds otherwise is none of the values, or depends on something else.</summary>
    public static MethodOption<T> Choice<T>(string name, string help, string whenAbsent, T absent, params (string Name, T Value)[] choices) => new(
        name,
        help,
        string.Join('|', choices.Select(choice => choice.Name)),
        whenAbsent,
        absent,
        text => Array.FindIndex(choices, choice => choice.Name == text) is var index and >= 0
            ? choices[index].Value
            : throw new UserException($"{name} must be {string.Join(" or ", choices.Select(choice => choice.Name))}, not '{text}'"));

    /// <summary>An option with a whole number in a range.</summary>
    public static MethodOption<T> Number<T>(string name, string help, T absent, T least, T most)
        where T : struct, IBinaryInteger<T> =>
        new(name, help, "N", string.Create(CultureInfo.InvariantCulture, $"{absent}"), absent, text => ParseNumber(name, text, least, most));

    /// <summary>The same where the number depends on something else when it is not given.</summary>
    public static MethodOption<T?> Number<T>(string name, string help, string whenAbsent, T least, T most)
        where T : struct, IBinaryInteger<T> =>
        new(name, help, "N", whenAbsent, null, text => ParseNumber(name, text, least, most));

    /// <summary>Reads a whole number in a range.</summary>
    /// <exception cref="UserException">It is none, or out of range.</exception>
    public static T ParseNumber<T>(string name, string text, T least, T most)
        where T : struct, IBinaryInteger<T> =>
        T.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most
            ? number
            : throw new UserException($"{name} must be a whole number from {least} to {most}, not '{text}'");
}

/// <summary>An option with its type.</summary>
/// <param name="name">The name with its dashes.</param>
/// <param name="help">What it does.</param>
/// <param name="values">The values that it takes, for help texts.</param>
/// <param name="whenAbsent">What holds when it is not given, as text.</param>
/// <param name="absent">What holds when it is not given.</param>
/// <param name="parse">Reads a value; throws <see cref="UserException"/> for one that the option does not take.</param>
public sealed class MethodOption<T>(string name, string help, string values, string whenAbsent, T absent, Func<string, T> parse)
    : MethodOption(name, help, values, whenAbsent)
{
    /// <summary>The value of a text; null: not given.</summary>
    /// <exception cref="UserException">The option does not take it.</exception>
    public T Read(string? text) => text is null ? absent : parse(text);

    /// <inheritdoc />
    public override void Check(string text) => parse(text);
}

/// <summary>The options that were given, as texts by their names.</summary>
/// <param name="texts">What was given; what is missing is at its default.</param>
public sealed class MethodValues(IReadOnlyDictionary<string, string> texts)
{
    /// <summary>Nothing given: every option is at its default.</summary>
    public static MethodValues None { get; } = new(new Dictionary<string, string>());

    /// <summary>The value of an option.</summary>
    /// <exception cref="UserException">The option does not take what was given.</exception>
    public T Get<T>(MethodOption<T> option) => option.Read(texts.GetValueOrDefault(option.Name));

    /// <summary>The same with an option, written as a command would take it.</summary>
    /// <exception cref="UserException">The option does not take the text.</exception>
    public MethodValues With(MethodOption option, string text)
    {
        option.Check(text);
        return new(new Dictionary<string, string>(texts) { [option.Name] = text });
    }

    /// <summary>Those of one method alone.</summary>
    public MethodValues Of(IListed method) =>
        new(texts.Where(text => method.Options.Any(option => option.Name == text.Key)).ToDictionary());

    /// <summary>What was given, as it would be written: "--search-rounds 2 --metric mse".</summary>
    public override string ToString() => string.Join(' ', texts.Select(text => $"{text.Key} {text.Value}"));
}
