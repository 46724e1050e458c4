using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RegCache.Lab.Reports;

/// <summary>
/// The published numbers that the kit knows, as data: one file a paper in <c>data-manifests/papers/</c>, which
/// <c>paper.schema.json</c> beside them describes. A new table is a few lines in such a file.
/// </summary>
public static class PublishedPapers
{
    private const string Resources = "RegCache.Lab.papers.";
    private const long MostBytes = 16 << 20;

    private static readonly Lazy<IReadOnlyList<PublishedPaper>> Known = new(Embedded);
    private static readonly Lazy<OpenList<PublishedTable>> KnownTables = new(() => TablesOf(Known.Value));

    /// <summary>The papers that come with the kit.</summary>
    public static IReadOnlyList<PublishedPaper> All => Known.Value;

    /// <summary>Their tables.</summary>
    public static OpenList<PublishedTable> Tables => KnownTables.Value;

    /// <summary>Reads paper files of one's own.</summary>
    /// <param name="folder">The folder; every <c>*.json</c> in it is a paper, except <c>*.schema.json</c>.</param>
    /// <exception cref="UserException">There is no such folder, it holds no paper, or a file is none.</exception>
    public static IReadOnlyList<PublishedPaper> Load(string folder)
    {
        try
        {
            string[] files = [.. Directory.EnumerateFiles(folder, "*.json").Where(IsPaper).Order(StringComparer.Ordinal)];
            return files.Length > 0
                ? [.. files.Select(file => Parse(file, SmallFile.Read(file, MostBytes, "a paper file")))]
                : throw new UserException($"The folder {folder} holds no paper file (*.json); give another one (--papers).");
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The paper files of {folder} cannot be read (--papers)");
        }
    }

    /// <summary>The tables of some papers.</summary>
    /// <exception cref="UserException">Two tables have one name.</exception>
    public static OpenList<PublishedTable> TablesOf(IEnumerable<PublishedPaper> papers)
    {
        PublishedTable[] tables = [.. papers.SelectMany(paper => paper.Tables)];
        return tables.CountBy(table => table.Id).FirstOrDefault(count => count.Value > 1) is { Key: { } twice }
            ? throw new UserException($"The table {twice} is there {tables.Count(table => table.Id == twice)} times in the paper files; rename one.")
            : new("published table", tables);
    }

    private static List<PublishedPaper> Embedded()
    {
        var assembly = typeof(PublishedPapers).Assembly;
        return
        [
            .. assembly.GetManifestResourceNames()
                .Where(name => name.StartsWith(Resources, StringComparison.Ordinal) && IsPaper(name))
                .Order(StringComparer.Ordinal)
                .Select(name => Parse(name[Resources.Length..], Content(assembly, name))),
        ];
    }

    private static bool IsPaper(string name) => !name.EndsWith(".schema.json", StringComparison.Ordinal);

    private static byte[] Content(Assembly assembly, string name)
    {
        using var stream = assembly.GetManifestResourceStream(name)!;
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    }

    private static PublishedPaper Parse(string file, byte[] json)
    {
        try
        {
            var paper = JsonSerializer.Deserialize<PublishedPaper>(json, ReportJson.Options) ?? throw new JsonException("It holds null.");
            return paper with
            {
                Tables = [.. paper.Tables.Select(table => Checked(table with { Paper = paper.Paper, Models = paper.Models }, file))],
            };
        }
        catch (JsonException exception)
        {
            var place = exception.Path is { Length: > 1 } path ? $" at {path}" : exception.LineNumber is { } line ? $" in line {line + 1}" : "";
            throw new UserException(
                $"{file} is no paper file{place}: {exception.Message.Split(" Path:")[0].TrimEnd('.')}; correct it (data-manifests/papers/paper.schema.json describes such files).",
                exception);
        }
    }

    // What the reader of the JSON does not see.
    private static PublishedTable Checked(PublishedTable table, string file)
    {
        void Require(bool holds, string what)
        {
            if (!holds)
            {
                throw new UserException($"{file}, table {table.Id}: {what}.");
            }
        }

        Require(table.Run is null != table.Cannot is null, "give either \"run\", what runs it, or \"cannot\", why nothing can");
        foreach (var (index, row) in table.Rows.Index())
        {
            var unknown = row.Values.Keys.FirstOrDefault(measure => !table.Measures.ContainsKey(measure));
            Require(unknown is null, $"row {index + 1} has a value of \"{unknown}\", which is not among the table's measures");
            Require(
                table.CannotRun(row) is not null || (row.ModelName is { } model && table.Models.ContainsKey(model)),
                $"row {index + 1} runs, but \"models\" has no entry \"{row.ModelName}\"");
        }

        return table;
    }
}

/// <summary>A paper, a repository or a page with published numbers.</summary>
/// <param name="Paper">What it is.</param>
/// <param name="Tables">Its tables.</param>
public sealed record PublishedPaper(PaperReference Paper, IReadOnlyList<PublishedTable> Tables)
{
    /// <summary>The schema that the file follows.</summary>
    [JsonPropertyName("$schema")]
    public string? Schema { get; init; }

    /// <summary>The models of the tables, by the names that rows give them.</summary>
    public IReadOnlyDictionary<string, PublishedModel> Models { get; init; } = new Dictionary<string, PublishedModel>();
}

/// <summary>Where numbers were published.</summary>
/// <param name="Name">What people call it.</param>
/// <param name="Title">The title.</param>
/// <param name="Link">Its address.</param>
public sealed record PaperReference(string Name, string Title, string Link)
{
    /// <summary>The method's page in this repository; null where there is none yet.</summary>
    public string? Page { get; init; }
}

/// <summary>A published table.</summary>
/// <param name="Id">Its name, unique over all papers.</param>
/// <param name="Shows">What it shows, in one sentence.</param>
/// <param name="Source">Where it was read.</param>
/// <param name="Measures">What its numbers are, by their names in the rows.</param>
/// <param name="Rows">Its rows.</param>
public sealed record PublishedTable(
    string Id, string Shows, NumberSource Source, OrderedDictionary<string, PublishedMeasure> Measures, IReadOnlyList<PublishedRow> Rows) : IListed
{
    /// <summary>What runs it; null where nothing can.</summary>
    public string? Run { get; init; }

    /// <summary>Why the kit cannot run it yet, as a clause; null where it can.</summary>
    public string? Cannot { get; init; }

    /// <summary>The paper that it is of.</summary>
    [JsonIgnore]
    public PaperReference Paper { get; init; } = new("", "", "");

    /// <summary>The paper's models.</summary>
    [JsonIgnore]
    public IReadOnlyDictionary<string, PublishedModel> Models { get; init; } = new Dictionary<string, PublishedModel>();

    /// <summary>What tells rows apart, in the order of the columns: model, bits, baseline, ...</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Keys => [.. Rows.SelectMany(row => row.Of.Keys).Distinct()];

    /// <inheritdoc />
    [JsonIgnore]
    public string Name => Id;

    /// <inheritdoc />
    [JsonIgnore]
    public string Help => Shows;

    /// <inheritdoc />
    [JsonIgnore]
    public IReadOnlyList<MethodOption> Options => [];

    /// <summary>Where a row was read.</summary>
    public NumberSource SourceOf(PublishedRow row) => row.Source ?? Source;

    /// <summary>Why the kit cannot run a row, whatever model it is of, as a clause; null where it can.</summary>
    public string? CannotRun(PublishedRow row) => Cannot ?? row.Cannot;
}

/// <summary>A row of a published table.</summary>
/// <param name="Of">What its numbers are of: model, bits, baseline, method, r, ...</param>
/// <param name="Values">The numbers, by measure; what was not published is missing.</param>
public sealed record PublishedRow(OrderedDictionary<string, string> Of, OrderedDictionary<string, double> Values)
{
    /// <summary>The entry of the models that runs, where it is not that of the model's name.</summary>
    public string? Weights { get; init; }

    /// <summary>Options of the method, by their names with dashes.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    /// <summary>Where it was read, if not where the table was.</summary>
    public NumberSource? Source { get; init; }

    /// <summary>Why the kit cannot run it, as a clause; null where it can.</summary>
    public string? Cannot { get; init; }

    /// <summary>What else is to be known of it.</summary>
    public string? Note { get; init; }

    /// <summary>The name of the entry of the models that runs; null where it names none.</summary>
    [JsonIgnore]
    public string? ModelName => Weights ?? this["model"];

    /// <summary>One of the things that it is of; null where it does not tell.</summary>
    public string? this[string key] => Of.TryGetValue(key, out var value) ? value : null;

    /// <summary>The row in words: "CLIP-B/16, W8A8, naive", "vit-s, tome, r 8".</summary>
    public string InWords() => string.Join(", ", Of.Select(one =>
        one.Key.Contains('_') || !one.Value.Any(char.IsLetter) ? $"{one.Key.Replace('_', ' ')} {one.Value}" : one.Value));
}

/// <summary>What a number is.</summary>
/// <param name="Unit">Its unit, for example "%"; empty for plain numbers.</param>
/// <param name="What">What it measures.</param>
public sealed record PublishedMeasure(string Unit, string What);

/// <summary>Where a number was read.</summary>
/// <param name="Hand">In the source itself, or in what others write about it.</param>
/// <param name="Where">Section, table, page or file.</param>
public sealed record NumberSource(Hand Hand, string Where)
{
    /// <summary>An address.</summary>
    public string? Link { get; init; }

    /// <summary>What else is to be known.</summary>
    public string? Note { get; init; }

    /// <summary>The source in words: second hand, public reading notes.</summary>
    public string InWords() => $"{Hand.ToString().ToLowerInvariant()} hand, {Where}{(Link is null ? "" : $" ({Link})")}";
}

/// <summary>How a number came here.</summary>
public enum Hand
{
    /// <summary>Read in the source itself.</summary>
    First,

    /// <summary>Read in what others write about it.</summary>
    Second,
}

/// <summary>A model of published tables: the weights that the kit runs it with, or why it cannot.</summary>
public sealed record PublishedModel
{
    /// <summary>Whether it classifies zero-shot or is a plain classifier.</summary>
    public PublishedModelKind Kind { get; init; }

    /// <summary>The name of its folder or weight file, without an extension.</summary>
    public string File { get; init; } = "";

    /// <summary>Which published weights these are.</summary>
    public string What { get; init; } = "";

    /// <summary>OpenCLIP's tag of the weights.</summary>
    public string? Pretrained { get; init; }

    /// <summary>Mean and deviation of a plain classifier's input: "half" or "imagenet".</summary>
    public string? Pixels { get; init; }

    /// <summary>Part of the resized image that a plain classifier sees.</summary>
    public double? Crop { get; init; }

    /// <summary>The shape of a plain classifier.</summary>
    public PublishedVision? Vision { get; init; }

    /// <summary>Classes of a plain classifier.</summary>
    public int? Classes { get; init; }

    /// <summary>Why the kit cannot load it, as a clause; null where it can.</summary>
    public string? Cannot { get; init; }
}

/// <summary>How a published model classifies.</summary>
public enum PublishedModelKind
{
    /// <summary>Zero-shot, by the texts of the classes.</summary>
    Clip,

    /// <summary>By a head of its own.</summary>
    Vit,
}

/// <summary>The shape of a plain ViT.</summary>
/// <param name="Width">Channels.</param>
/// <param name="Layers">Blocks.</param>
/// <param name="HeadWidth">Channels of an attention head.</param>
/// <param name="PatchSize">Side of a patch, pixels.</param>
/// <param name="ImageSize">Side of the input, pixels.</param>
public sealed record PublishedVision(int Width, int Layers, int HeadWidth, int PatchSize, int ImageSize);
