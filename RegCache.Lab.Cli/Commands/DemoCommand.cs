using System.CommandLine;
using RegCache.Lab.Cli.Demo;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Commands;

/// <summary>The whole pipeline on the shipped model and generated images, at several bit-widths, with a report.</summary>
internal sealed class DemoCommand : KitCommand
{
    private const int BatchSize = 64;
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
        var baseline = _baseline.Read(context.Arguments).Name;
        QuantizationBits[] widths = context.Arguments.GetValue(_bits) is { } bits ? [bits] : _defaultBits;
        context.Progress.Message($"The demo's images and results go to {folder}.");
        var files = DemoFiles.Prepare(folder, context.Progress, context.Cancellation);

        var runs = new List<(RegCacheSummary Summary, RegCacheResult Result)>();
        foreach (var width in widths)
        {
            using var session = Open(context, folder, files, baseline, width);
            var result = new RegCachePipeline(session.Subject, session.Options, session.Directory, context.Cancellation).Run();
            session.ReportExecution();
            runs.Add((RegCacheSummary.Of(width, result), result));
            if (runs.Count < widths.Length)
            {
                continue;
            }

            var report = System.IO.Path.Combine(folder, $"report-{baseline}.html");
            DemoReport.Write(
                report,
                session.Clip,
                session.Subject.SearchImages,
                runs,
                new("report: norms", BatchSize) { Progress = context.Progress, Cancellation = context.Cancellation });
            Print(context, baseline, runs, report);
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

        SummaryTable.Print(context.Console, baseline, [.. runs.Select(one => one.Summary)]);
        context.Output.WriteLine($"report: {System.IO.Path.GetFullPath(report)}");
    }

    // The same session as `regcache pipeline` has with these options.
    private RegCacheSession Open(CommandContext context, string folder, DemoFiles files, string baseline, QuantizationBits bits)
    {
        var options = new SessionOptions();
        var command = new Command("pipeline");
        options.AddTo(command);
        var parsed = command.Parse(
        [
            "--model", files.Model,
            "--pretrained", "demo",
            "--prompts", System.IO.Path.Combine(files.Model, "prompts.json"),
            "--train-sample", files.Search,
            "--imagenet-val", files.Test,
            "--calib", files.Search,
            "--baseline", baseline,
            "--bits", bits.ToString(),
            "--batch", $"{BatchSize}",
            "--block-search", "two-step",
            "--max-prefix", "8",
            "--max-delete", "10",
            "--run-dir", System.IO.Path.Combine(folder, $"run-{baseline}-{bits}"),
            .. _execution.Words(context.Arguments),
            .. context.Arguments.GetValue(_force) ? ["--force"] : Array.Empty<string>(),
        ]);
        return parsed.Errors.Count == 0
            ? RegCacheSession.Open(context with { Arguments = parsed }, options)
            : throw new UserException(parsed.Errors[0].Message);
    }
}
