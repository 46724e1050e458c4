using System.Globalization;
using System.Text.RegularExpressions;

namespace RegCache.Lab.Tests;

/// <summary>What a set of golden files says in its README alone: settings in running text.</summary>
internal sealed partial class GoldenReadme
{
    private readonly string _path;
    private readonly string _text;

    public GoldenReadme(string area)
    {
        _path = Goldens.Path(area, "README.md");
        _text = File.ReadAllText(_path);
    }

    /// <summary>The numbers in the first place where the pattern matches, a number for each of its groups.</summary>
    public double[] Numbers(Regex pattern) =>
        [.. Match(pattern).Groups.Values.Skip(1).Select(group => double.Parse(group.ValueSpan, CultureInfo.InvariantCulture))];

    /// <summary>The number in the first place where the pattern's only group matches.</summary>
    public double Number(Regex pattern) => Numbers(pattern).Single();

    /// <summary>Whether the activation that the pattern's only group names is quick GELU.</summary>
    public bool IsQuickGelu(Regex pattern) => IsQuickGelu(Match(pattern).Groups[1].Value);

    /// <summary>Whether an activation's name is that of quick GELU, in any of its spellings; otherwise it is GELU's.</summary>
    public static bool IsQuickGelu(string name) => Separators().Replace(name, "").ToLowerInvariant() switch
    {
        "gelu" or "exactgelu" => false,
        "quickgelu" => true,
        _ => throw new InvalidDataException($"{name} is no activation that the goldens use."),
    };

    private Match Match(Regex pattern) => pattern.Match(_text) is { Success: true } match
        ? match
        : throw new InvalidDataException($"{_path} does not say {pattern}.");

    [GeneratedRegex("[ _-]")]
    private static partial Regex Separators();
}
