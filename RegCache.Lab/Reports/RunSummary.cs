using System.Text.Json;
using CsvHelper;

namespace RegCache.Lab.Reports;

/// <summary>What a finished run was and found, from its <c>result.json</c>, whatever command made it.</summary>
/// <param name="Name">The run's name: its folder's.</param>
/// <param name="Provenance">Model, data, plan, seed, time.</param>
/// <param name="Numbers">
/// The result's main numbers by their places in it, as <c>scores.both.accuracy</c>; rows of a table by what tells them apart, as
/// <c>tome 8.top1</c>. Counts that an accuracy says already, and configurations, are left out.
/// </param>
/// <param name="LeftOut">Lists that are too long to be shown beside others, by their places.</param>
public sealed record RunSummary(
    string Name, Provenance Provenance, IReadOnlyDictionary<string, double> Numbers, IReadOnlyList<string> LeftOut)
{
    private const string ResultName = "result.json";
    private const int LongestList = 64;

    private static readonly HashSet<string> _minor = ["images", "correct", "correct_top5", "squared_error", "config", "published", "difference"];

    /// <summary>Reads the result of a run.</summary>
    /// <param name="path">The run directory, or its <c>result.json</c>.</param>
    /// <exception cref="UserException">There is none, it is not finished, or the file is broken.</exception>
    public static RunSummary Read(string path)
    {
        var isFolder = Directory.Exists(path);
        var file = isFolder ? Path.Combine(path, ResultName) : path;
        if (!File.Exists(file))
        {
            throw new UserException(isFolder
                ? $"{path} has no {ResultName}: the run is not finished, so give its command again; or it is no run directory."
                : $"There is no run directory {path}; check the path.");
        }

        var (provenance, result) = ResultFile.Read<JsonElement>(file);
        var (numbers, leftOut) = (new OrderedDictionary<string, double>(), new List<string>());
        Collect(result, "", numbers, leftOut);
        var folder = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(isFolder ? path : Path.GetDirectoryName(Path.GetFullPath(path))!)));
        return new(folder, provenance, numbers, leftOut);
    }

    /// <summary>Puts runs together whose results share a number, in their order.</summary>
    public static IReadOnlyList<IReadOnlyList<RunSummary>> Comparable(IEnumerable<RunSummary> runs)
    {
        var groups = new List<List<RunSummary>>();
        foreach (var run in runs)
        {
            if (groups.FirstOrDefault(group => group.Any(other => other.Numbers.Keys.Any(run.Numbers.ContainsKey))) is { } group)
            {
                group.Add(run);
            }
            else
            {
                groups.Add([run]);
            }
        }

        return groups;
    }

    private static void Collect(JsonElement element, string place, OrderedDictionary<string, double> numbers, List<string> leftOut)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in element.EnumerateObject().Where(property => !_minor.Contains(property.Name)))
                {
                    Collect(property.Value, place.Length == 0 ? property.Name : $"{place}.{property.Name}", numbers, leftOut);
                }

                break;
            case JsonValueKind.Array when element.GetArrayLength() > LongestList:
                leftOut.Add($"{(place.Length == 0 ? "rows" : place)} ({element.GetArrayLength()} rows)");
                break;
            case JsonValueKind.Array:
                var rows = element.EnumerateArray().Where(row => row.ValueKind == JsonValueKind.Object).ToList();
                foreach (var (row, name) in rows.Zip(Names(rows)))
                {
                    Collect(row, place.Length == 0 ? name : $"{place}.{name}", numbers, leftOut);
                }

                break;
            case JsonValueKind.Number:
                numbers.TryAdd(place, element.GetDouble());
                break;
        }
    }

    // Texts and truth values that differ tell the rows of a list apart.
    private static IEnumerable<string> Names(List<JsonElement> rows)
    {
        static bool Tells(JsonElement value) => value.ValueKind is JsonValueKind.String or JsonValueKind.True or JsonValueKind.False;
        var keys = rows.SelectMany(row => row.EnumerateObject().Where(property => Tells(property.Value)).Select(property => property.Name)).Distinct()
            .Where(key => rows.Select(row => row.TryGetProperty(key, out var value) ? value.ToString() : "").Distinct().Count() > 1)
            .ToList();
        return rows.Select((row, index) => keys.Count == 0
            ? $"{index}"
            : string.Join(' ', keys.Select(key => row.TryGetProperty(key, out var value)
                ? value.ValueKind == JsonValueKind.String ? value.GetString() : value.GetBoolean() ? key : ""
                : "").Where(part => !string.IsNullOrEmpty(part))));
    }
}

/// <summary>A number of a run; a row of the table that `report` writes.</summary>
/// <param name="Run">The run's name.</param>
/// <param name="Models">Its models.</param>
/// <param name="Seed">Its seed.</param>
/// <param name="Time">When its result was written.</param>
/// <param name="Name">The number's place in the result.</param>
/// <param name="Value">The number.</param>
[CsvRecord]
public sealed partial record RunNumber(string Run, string Models, long Seed, DateTimeOffset Time, string Name, double Value)
{
    /// <summary>All numbers of some runs.</summary>
    public static IReadOnlyList<RunNumber> Of(IEnumerable<RunSummary> runs) =>
    [
        .. from run in runs
           from number in run.Numbers
           select new RunNumber(
               run.Name, string.Join(' ', run.Provenance.Models.Keys), run.Provenance.Seed, run.Provenance.Time, number.Key, number.Value),
    ];
}
