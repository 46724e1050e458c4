using System.CommandLine;
using Microsoft.Data.Analysis;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Notebooks;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Notebooks.Plots;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ranges;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>The ranges of all layer inputs with and without RegCache, and what quantizing them costs.</summary>
internal sealed class StudyRangesCommand : KitCommand
{
    private readonly PipelineOptions _options = new(searches: false);

    private readonly PrefixSettingOptions _setting = new();

    private readonly Option<QuantizerFamily[]> _baselines = new("--baselines")
    {
        Description = "Quantizers to compare, separated by commas. [default: that of --baseline]",
        HelpName = "LIST",
        CustomParser = result => OptionOf.Parse(result, text => text.Split(',').Select(name => QuantizerFamilies.All.Find(name.Trim())).Distinct().ToArray()),
    };

    private readonly Option<QuantizationBits[]> _allBits = new("--all-bits")
    {
        Description = "Bit-widths to compare, separated by commas. [default: those of --bits]",
        HelpName = "LIST",
        CustomParser = result => OptionOf.Parse(result, text => text.Split(',').Select(QuantizationBits.Parse).Distinct().ToArray()),
    };

    private readonly Option<RangeStream> _stream = OptionOf.Choice(
        "--stream",
        "What quantizers are judged on: the float encoder's activations, or those of the encoder that they quantize.",
        RangeStream.Float,
        ("float", RangeStream.Float),
        ("quantized", RangeStream.Quantized));

    private readonly Option<int> _images = OptionOf.Number("--images", "Images to measure, evenly spread over the set.", 256, 1, int.MaxValue);

    private enum RangeStream
    {
        Float,
        Quantized,
    }

    /// <inheritdoc/>
    public override string Path => "study ranges";

    /// <inheritdoc/>
    public override string Description =>
        "Measures the input of every layer with and without a RegCache setting: range, kurtosis, quantization error, over quantizers and bit-widths.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _options.AddTo(command);
        _setting.AddTo(command);
        foreach (var option in new Option[] { _baselines, _allBits, _stream, _images })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        using var experiment = _options.Open(context, OptionOf.Given(context.Arguments, _baselines));
        using var cache = _setting.LoadPrefix(context.Arguments);
        var (tower, directory) = (experiment.Tower, experiment.Directory);
        var setting = _setting.Read(context.Arguments, cache, tower);
        if (setting is { PrefixCount: 0, DeleteCount: 0 })
        {
            throw new UserException("Say which RegCache setting to compare with: --prefix FILE, or --delete-block K with --delete-count N.");
        }

        var count = context.Arguments.GetValue(_images);
        QuantizerFamily[] baselines = OptionOf.Given(context.Arguments, _baselines, experiment.Options.Quantizer);
        QuantizationBits[] bits = OptionOf.Given(context.Arguments, _allBits, _options.ReadBits(context.Arguments));
        if (_options.IsDryRun(context.Arguments))
        {
            context.Output.WriteLine(
                $"{2 * (1 + (baselines.Length * bits.Length))} plans on {Math.Min(count, experiment.Validation.Count)} images: {setting}.");
            return ExitCode.Success;
        }

        var isQuantized = context.Arguments.GetValue(_stream) == RangeStream.Quantized;
        var cases = Cases(experiment, baselines, bits, setting, cache?.ToPrefix(tower.Placement.Device), isQuantized);
        var rows = RangeStudy.Run(tower, experiment.Validation, count, cases, experiment.Pass("ranges"));
        experiment.TellRemarks();
        var summary = RangeSummary.Of(rows);
        CsvTable.Write(directory.PathOf("ranges.csv"), rows);
        var quantizers = baselines.SelectMany(baseline => bits.Select(width => $"{experiment.Calibrator(baseline, width)}"));
        experiment.WriteResult(context.CommandLine, $"{string.Join("; ", quantizers)}; {setting}", new { setting, summary, rows });
        StudyRangesReport.Write(
            directory.PathOf("ranges.html"),
            experiment.Name,
            setting,
            isQuantized ? "Every quantizer is judged on the stream of the encoder that it quantizes." : "Every quantizer is judged on the float encoder's stream.",
            rows);
        StudyRangesReport.Print(context.Console, rows);
        context.Output.WriteLine($"table and plots: {directory.PathOf("ranges.csv")}, {directory.PathOf("ranges.html")}");
        return ExitCode.Success;
    }

    private static List<RangeCase> Cases(
        Experiment experiment,
        QuantizerFamily[] baselines,
        QuantizationBits[] bits,
        RegCacheSetting setting,
        RegisterPrefix? prefix,
        bool isQuantized)
    {
        var plain = EncoderPlan.Plain(experiment.Tower.Blocks.Count);
        (bool Registers, EncoderPlan Plan)[] streams = [(false, plain), (true, setting.ApplyTo(plain, prefix))];
        var cases = streams.Select(stream => new RangeCase(RangeCase.Float, null, stream.Registers, null, stream.Plan)).ToList();
        foreach (var baseline in baselines)
        {
            foreach (var width in bits)
            {
                cases.AddRange(streams.Select(stream =>
                {
                    var quantizer = experiment.Calibrator(baseline, width).Calibrate(stream.Plan);
                    return new RangeCase(baseline.Name, width, stream.Registers, quantizer, isQuantized ? quantizer.ApplyTo(stream.Plan) : stream.Plan);
                }));
            }
        }

        return cases;
    }
}

/// <summary>Tables and plots of a range study.</summary>
internal static class StudyRangesReport
{
    private const int MostNames = 6;

    public static void Print(IAnsiConsole console, IReadOnlyList<RangeRow> rows)
    {
        var table = new Table().Title("inputs of the linear layers, without > with RegCache")
            .AddColumns("quantizer", "bits", "largest l_inf", "largest kurtosis", "token SQNR, dB", "bits gained");
        foreach (var row in RangeSummary.Of(rows))
        {
            table.AddRow(
                row.Baseline,
                row.Bits,
                $"{row.LInfWithout:0.0} > {row.LInfWith:0.0}",
                $"{row.KurtosisWithout:0} > {row.KurtosisWith:0}",
                row.SqnrWithout is null ? "" : $"{row.SqnrWithout:0.0} > {row.SqnrWith:0.0}",
                row.BitsGained is null ? "" : $"{row.BitsGained:+0.0;-0.0}, at most {row.MostBitsGained:+0.0;-0.0}");
        }

        foreach (var column in table.Columns.Skip(2))
        {
            column.RightAligned();
        }

        console.Write(table);
        foreach (var line in FewerBits.From(rows))
        {
            console.WriteLine(Sentence(line));
        }
    }

    public static void Write(string path, string model, RegCacheSetting setting, string stream, IReadOnlyList<RangeRow> rows)
    {
        var page = new ReportPage($"Ranges of {model} with and without RegCache");
        page.Paragraph(
            $"The inputs of all linear layers, without RegCache and with it: {setting.InWords()}. {stream} Inputs behind a reparameterised LayerNorm are measured in the channels' own units.");
        page.Heading("In short");
        page.Table(Summaries(rows));
        page.Paragraph("Each cell is without > with RegCache: the largest l_inf and kurtosis of all layers. SQNR is the signal over the quantization error of a token, a mean over tokens and layers. A bit halves the step, which is worth 6.02 dB; \"bits gained\" is the difference in those units.");
        page.Lines(FewerBits.From(rows).Select(Sentence));
        page.Heading("Ranges");
        page.Plot(RangePlots.LargestMagnitude(rows));
        page.Plot(RangePlots.Kurtosis(rows));
        page.Heading("Quantization error");
        foreach (var baseline in rows.Select(row => row.Baseline).Where(name => name != RangeCase.Float).Distinct())
        {
            page.Plot(RangePlots.SignalToNoise(rows, baseline));
        }

        page.Heading("All layers");
        page.Table(rows.ToDataFrame());
        page.Write(path);
    }

    private static string Sentence(FewerBits line) =>
        $"{line.Baseline}: {line.Fewer} with RegCache is as precise as {line.More} without it at {line.Layers.Count} of {line.Of} layer inputs"
        + (line.Layers.Count is > 0 and <= MostNames ? $": {string.Join(", ", line.Layers)}" : "");

    // For the page: rounded, under names of several words.
    private static DataFrame Summaries(IReadOnlyList<RangeRow> rows) => RangeSummary.Of(rows).Select(row => new
    {
        Quantizer = row.Baseline,
        row.Bits,
        LInf = $"{row.LInfWithout:0.0} > {row.LInfWith:0.0}",
        Kurtosis = $"{row.KurtosisWithout:0} > {row.KurtosisWith:0}",
        TokenSqnr = row.SqnrWithout is null ? "" : $"{row.SqnrWithout:0.0} > {row.SqnrWith:0.0} dB",
        BitsGained = row.BitsGained is null ? "" : $"{row.BitsGained:+0.0;-0.0}",
        AtMost = row.MostBitsGained is null ? "" : $"{row.MostBitsGained:+0.0;-0.0}",
    }).ToDataFrame();
}
