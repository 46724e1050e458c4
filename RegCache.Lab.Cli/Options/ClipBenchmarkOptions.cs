using System.CommandLine;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Options;

/// <summary><c>--format clip-benchmark</c>: an evaluation's result in the form of CLIP_benchmark, beside the kit's own.</summary>
internal sealed class ClipBenchmarkOptions
{
    private const string FilePrefix = "clip_benchmark_";

    private readonly Option<ForeignFormat?> _format = OptionOf.OptionalChoice(
        "--format",
        "Write the results in the form of another tool, too: clip-benchmark, one JSON object a plan. [default: the kit's own files alone]",
        ("clip-benchmark", ForeignFormat.ClipBenchmark));

    private readonly Option<string?> _dataset = new("--dataset-name")
    {
        Description = "The data set's name in that form: imagenet1k, ... [default: the name of the images' folder]",
        HelpName = "NAME",
    };

    private readonly Option<string?> _language = new("--language")
    {
        Description = "The language of class names or captions in that form. [default: en]",
        HelpName = "CODE",
    };

    private enum ForeignFormat
    {
        ClipBenchmark,
    }

    /// <summary>Adds them to a command. Names without a format are refused while the command line is parsed.</summary>
    public void AddTo(Command command)
    {
        command.AddGroup(OptionGroups.Results, _format, _dataset, _language);
        command.Validators.Add(result =>
        {
            if (result.GetResult(_format) is null && new Option[] { _dataset, _language }.FirstOrDefault(option => result.GetResult(option) is not null) is { } given)
            {
                result.AddError($"{given.Name} goes into the files of --format clip-benchmark; give that, too");
            }
        });
    }

    /// <summary>Writes an object for each plan into the run directory, where they are asked for.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="directory">The run directory.</param>
    /// <param name="images">The folder of the images, whose name the data set has unless the options give one.</param>
    /// <param name="task">The task of all plans.</param>
    /// <param name="model">The model's name.</param>
    /// <param name="pretrained">The tag of its weights.</param>
    /// <param name="metrics">The metrics of each plan, as shares from 0 to 1.</param>
    /// <returns>The files.</returns>
    public IReadOnlyList<string> Write(
        ParseResult arguments,
        RunDirectory directory,
        string images,
        string task,
        string model,
        string pretrained,
        IReadOnlyList<(string Plan, IReadOnlyDictionary<string, double?> Metrics)> metrics)
    {
        if (arguments.GetValue(_format) is null)
        {
            return [];
        }

        var dataset = arguments.GetValue(_dataset) ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(images)));
        var language = arguments.GetValue(_language) ?? "en";
        return [.. metrics.Select(row =>
        {
            // The float model has the name that others know it by.
            var name = row.Plan == PlanOptions.Float ? model : $"{model}+{row.Plan}";
            var path = directory.PathOf($"{FilePrefix}{row.Plan}.json");
            new ClipBenchmarkResult(dataset, name, pretrained, task, row.Metrics, language).Write(path);
            return path;
        })];
    }
}
