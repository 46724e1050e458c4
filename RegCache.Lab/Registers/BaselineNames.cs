namespace RegCache.Lab.Registers;

/// <summary>The names under which the baselines are asked for and reported: exactly three, case-sensitive (regcache.md 10.3).</summary>
public static class BaselineNames
{
    /// <summary>The three accepted names, in the order of <see cref="Baseline"/>.</summary>
    public static IReadOnlyList<string> All { get; } = ["naive", "ptq4vit", "repqvit"];

    /// <summary>The name of a baseline as it is printed in reports and file names.</summary>
    public static string NameOf(Baseline baseline) => All[(int)baseline];

    /// <summary>Reads a baseline's name.</summary>
    /// <exception cref="UserException">The name is not one of <see cref="All"/>.</exception>
    public static Baseline Parse(string name)
    {
        for (var index = 0; index < All.Count; index++)
        {
            if (string.Equals(All[index], name, StringComparison.Ordinal))
            {
                return (Baseline)index;
            }
        }

        throw new UserException(
            $"The baseline '{name}' (--baseline, BASELINE) is unknown: it must be exactly one of {string.Join(", ", All)}.");
    }
}
