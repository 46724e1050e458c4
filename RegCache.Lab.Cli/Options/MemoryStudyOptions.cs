using System.CommandLine;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Memory;

namespace RegCache.Lab.Cli.Options;

/// <summary>The models and sets of a memory study.</summary>
internal sealed class MemoryStudyOptions
{
    // On which long and short captions the published comparisons stand.
    private static readonly RetrievalAddress[] _benchmarks =
    [
        .. new[] { CocoCaptions.Entry, Flickr30k.Entry, DescribedImages.Docci, DescribedImages.Urban1k, DescribedImages.ImageInWords, DenselyCaptionedImages.Entry }
            .Select(format => new RetrievalAddress(format)),
    ];

    private readonly ModelOptions _teacher = new("the demo model", "--teacher", classifies: false);

    private readonly Option<string?> _distilled = Student("--distilled", "distilled");

    private readonly Option<string?> _finetuned = Student("--finetuned", "finetuned");

    private readonly Option<RetrievalAddress[]> _datasets = new("--dataset")
    {
        Description = string.Join('\n', [
            "A set, or several: NAME, NAME@SPLIT, NAME:FOLDER or NAME@SPLIT:FOLDER; without a folder the one of its variable. "
                + $"[default: {string.Join(' ', _benchmarks.Select(set => set.Format.Name))}; without --teacher {RetrievalShapes.Entry.Name}]",
            .. RetrievalFormats.All.Select(set => $"{set.Name}: {set.Help}"),
        ]),
        HelpName = "SET...",
        AllowMultipleArgumentsPerToken = true,
        CustomParser = result => [.. result.Tokens.Select(token => OptionOf.Parse(result, token.Value, RetrievalAddress.Parse)).OfType<RetrievalAddress>()],
    };

    private readonly Option<string?> _root = new("--root") { Description = "Folder of the set, where --dataset names one without a folder.", HelpName = "FOLDER" };

    private readonly Option<string?> _split = new("--split") { Description = "Part of the set, where --dataset names one.", HelpName = "NAME" };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        _datasets.CompletionSources.Add([.. RetrievalFormats.All.Names]);
        command.AddGroup(OptionGroups.Data, _datasets, _root, _split);
        _teacher.AddTo(command);
        command.AddGroup(OptionGroups.Model, _distilled, _finetuned);
    }

    /// <summary>The teacher.</summary>
    public ExperimentOptions ReadTeacher(ParseResult arguments, ExperimentOptions options) => _teacher.Read(arguments, options);

    /// <summary>The students by what they are.</summary>
    /// <exception cref="UserException">There is none.</exception>
    public IReadOnlyList<(string Role, string Path)> ReadStudents(ParseResult arguments)
    {
        (string Role, string? Path)[] named = [(MemoryStudy.Distilled, arguments.GetValue(_distilled)), (MemoryStudy.Finetuned, arguments.GetValue(_finetuned))];
        (string, string)[] students = [.. named.Where(one => one.Path is not null).Select(one => (one.Role, one.Path!))];
        return students.Length > 0 ? students : throw new UserException("Say which students to compare with the teacher: --distilled PATH, --finetuned PATH or both.");
    }

    /// <summary>The sets.</summary>
    /// <exception cref="UserException">One is named twice, or <c>--root</c> or <c>--split</c> belong to none or to several.</exception>
    public IReadOnlyList<RetrievalAddress> ReadSets(ParseResult arguments)
    {
        var sets = OptionOf.Given(arguments, _datasets, _teacher.ReadPath(arguments) is null ? [new(RetrievalShapes.Entry)] : _benchmarks);
        var (root, split) = (arguments.GetValue(_root), arguments.GetValue(_split));
        if (root is not null || split is not null)
        {
            sets = sets is [{ Root: null, Split: null } one]
                ? [one with { Root = root, Split = split }]
                : throw new UserException(
                    $"{(root is null ? "--split" : "--root")} is for one set that --dataset names alone; write --dataset {sets[0].Format.Name}{(split is null ? "" : $"@{split}")}{(root is null ? "" : $":{root}")} instead.");
        }

        return sets.GroupBy(set => (set.Format.Name, set.Part)).FirstOrDefault(group => group.Count() > 1) is { } twice
            ? throw new UserException($"--dataset names {twice.Key.Name}@{twice.Key.Part} twice: name it once.")
            : sets;
    }

    private static Option<string?> Student(string name, string what) => new(name)
    {
        Description = $"The {what} student: model folder or weight file, memory layers found by its tensors' names. Tokenizer, configuration, text tower and logit scale are the teacher's where its files have none.",
        HelpName = "PATH",
    };
}
