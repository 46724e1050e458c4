using System.CommandLine;
using RegCache.Lab.Cli.Commands;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Demo;

/// <summary>The whole pipeline on the shipped model and generated images, at several bit-widths, with a report.</summary>
internal sealed class DemoCommand : KitCommand
{
    private static readonly QuantizationBits[] _defaultBits = [new(8, 8), new(6, 6), new(4, 4)];

    private readonly Option<string> _out = new("--out")
    {
        Description = "Folder for the demo's images and results.",
        HelpName = "FOLDER",
        DefaultValueFactory = _ => System.IO.Path.Combine("artifacts", "demo"),
    };

    private readonly BaselineOption _baseline = new();

    private readonly Option<QuantizationBits?> _bits = new("--bits")
    {
        Description = "One bit-width, W8A8 or 8, instead of W8A8, W6A6 and W4A4.",
        HelpName = "WwAa",
        CustomParser = result => OptionOf.Parse(result, QuantizationBits.Parse),
    };

    private readonly ExecutionOption _execution = new();

    private readonly Option<bool> _force = new("--force") { Description = "Compute everything again, whatever an earlier demo left." };

    /// <inheritdoc/>
    public override string Path => "demo";

    /// <inheritdoc/>
    public override string Description => "Runs the whole pipeline on the shipped model and generated images, and writes a report.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        command.Add(_out);
        _baseline.AddTo(command);
        command.Add(_bits);
        _execution.AddTo(command);
        command.Add(_force);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var folder = context.Arguments.GetRequiredValue(_out);
        var baseline = _baseline.Read(context.Arguments);
        QuantizationBits[] widths = context.Arguments.GetValue(_bits) is { } bits ? [bits] : _defaultBits;
        context.Progress.Message($"The demo's images and results go to {folder}.");
        var files = DemoFiles.Prepare(folder, context.Progress, context.Cancellation);

        var runs = new List<(RegCacheSummary Summary, RegCacheResult Result)>();
        foreach (var width in widths)
        {
            using var experiment = Open(context, folder, files, baseline, width);
            var options = new RegCacheOptions { Bits = width, BlockSearch = BlockSearch.TwoStep, MaxPrefix = 8 };
            var result = new RegCachePipeline(experiment, options).Run();
            experiment.TellRemarks();
            runs.Add((RegCacheSummary.Of(width, result), result));
            if (runs.Count < widths.Length)
            {
                continue;
            }

            var report = System.IO.Path.Combine(folder, $"report-{baseline.Name}.html");
            DemoReport.Write(report, experiment, runs);
            Print(context, baseline.Name, runs, report);
        }

        return ExitCode.Success;
    }

    private static void Print(
        CommandContext context, string baseline, List<(RegCacheSummary Summary, RegCacheResult Result)> runs, string report)
    {
        foreach (var line in runs[0].Result.Report.Lines())
        {
            context.Output.WriteLine(line);
        }

        ResultTables.PrintSummaries(context.Console, baseline, [.. runs.Select(one => one.Summary)]);
        context.Output.WriteLine($"report: {System.IO.Path.GetFullPath(report)}");
    }

    private Experiment Open(CommandContext context, string folder, DemoFiles files, QuantizerFamily baseline, QuantizationBits bits)
    {
        var options = new ExperimentOptions
        {
            Model = files.Model,
            Pretrained = "demo",
            Prompts = System.IO.Path.Combine(files.Model, "prompts.json"),
            SearchImages = files.Search,
            ValidationImages = files.Test,
            Quantizer = baseline,
            Threads = Environment.ProcessorCount,
            RunDirectory = System.IO.Path.Combine(folder, $"run-{baseline.Name}-{bits}"),
            Force = context.Arguments.GetValue(_force),
        };
        return Experiment.Open(_execution.Read(context.Arguments, options, bits), context.Progress, context.Cancellation);
    }
}

/// <summary>What the demo works on: the shipped model, and generated images as PNG class folders like anybody's data.</summary>
/// <param name="Model">The model's folder.</param>
/// <param name="Search">Images that everything is chosen on.</param>
/// <param name="Test">Images of the final numbers.</param>
internal sealed record DemoFiles(string Model, string Search, string Test)
{
    private const int SearchCount = 384;
    private const int TestCount = 960;

    /// <summary>Finds the model and makes the images that are not there yet.</summary>
    /// <param name="folder">Where the images go.</param>
    /// <param name="progress">Told of the images written.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="UserException">The model is missing, or a file cannot be written.</exception>
    public static DemoFiles Prepare(string folder, IWorkProgress progress, CancellationToken cancellation) => new(
        ModelFolder.FindDemo(),
        Images(folder, ShapesSplit.Validation, SearchCount, progress, cancellation),
        Images(folder, ShapesSplit.Test, TestCount, progress, cancellation));

    // The images go to a folder of another name first, so that one with the right name is complete.
    private static string Images(string folder, ShapesSplit split, int count, IWorkProgress progress, CancellationToken cancellation)
    {
        var name = split.ToString().ToLowerInvariant();
        var target = Path.Combine(folder, $"{name}-{count}");
        if (Directory.Exists(target))
        {
            return target;
        }

        var partial = Path.Combine(folder, $"partial-{Environment.ProcessId}");
        try
        {
            ShapesExport.Write(ShapesSet.Generate(split, count, cancellation: cancellation), partial, ShapesFormat.Folders, progress, cancellation);
            Directory.Move(Path.Combine(partial, name), target);
        }
        finally
        {
            if (Directory.Exists(partial))
            {
                Directory.Delete(partial, recursive: true);
            }
        }

        return target;
    }
}
