using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ranges;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>The ranges of all layer inputs with and without RegCache, and what quantizing them costs.</summary>
internal sealed class StudyRangesCommand : KitCommand
{
    private readonly SessionOptions _options = new(needsSearchImages: false);

    private readonly PrefixSettingOptions _setting = new();

    private readonly Option<QuantizerFamily[]> _baselines = new("--baselines")
    {
        Description = "Quantizers to compare, separated by commas. [default: that of --baseline]",
        HelpName = "LIST",
        CustomParser = result => OptionOf.Parse(result, text => text.Split(',').Select(QuantizerFamilies.All.Find).Distinct().ToArray()),
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
        using var session = RegCacheSession.Open(context, _options, context.Arguments.GetValue(_baselines) ?? []);
        using var cache = _setting.LoadPrefix(context.Arguments);
        var (subject, directory) = (session.Subject, session.Directory);
        var setting = _setting.Read(context.Arguments, cache, subject.Tower);
        if (setting is { PrefixCount: 0, DeleteCount: 0 })
        {
            throw new UserException("Say which RegCache setting to compare with: --prefix FILE, or --delete-block K with --delete-count N.");
        }

        var (run, count) = (_options.Run.Read(context.Arguments), context.Arguments.GetValue(_images));
        QuantizerFamily[] baselines = context.Arguments.GetValue(_baselines) ?? [subject.Baseline];
        QuantizationBits[] bits = context.Arguments.GetValue(_allBits) ?? [session.Options.Bits];
        if (run.DryRun)
        {
            context.Output.WriteLine(
                $"{2 * (1 + (baselines.Length * bits.Length))} plans on {Math.Min(count, subject.ValidationImages.Count)} images: {setting}.");
            return ExitCode.Success;
        }

        var isQuantized = context.Arguments.GetValue(_stream) == RangeStream.Quantized;
        var cases = Cases(session, baselines, bits, setting, cache?.ToPrefix(subject.Tower.Placement.Device), isQuantized);
        var rows = RangeStudy.Run(
            subject.Tower, subject.ValidationImages, count, cases,
            new("ranges", subject.BatchSize) { Progress = directory.Progress, Cancellation = context.Cancellation });
        session.ReportUnreadable();
        var summary = RangeSummary.Of(rows);
        CsvTable.Write(directory.PathOf("ranges.csv"), rows);
        directory.WriteResult(SessionProvenance.Of(context, session, run), new { setting, summary, rows });
        StudyRangesReport.Write(
            directory.PathOf("ranges.html"),
            session.Clip.Name,
            setting,
            isQuantized ? "Every quantizer is judged on the stream of the encoder that it quantizes." : "Every quantizer is judged on the float encoder's stream.",
            rows);
        StudyRangesReport.Print(context.Console, rows);
        context.Output.WriteLine($"table and plots: {directory.PathOf("ranges.csv")}, {directory.PathOf("ranges.html")}");
        return ExitCode.Success;
    }

    private static List<RangeCase> Cases(
        RegCacheSession session,
        QuantizerFamily[] baselines,
        QuantizationBits[] bits,
        RegCacheSetting setting,
        RegisterPrefix? prefix,
        bool isQuantized)
    {
        var plain = EncoderPlan.Plain(session.Subject.Tower.Blocks.Count);
        (bool Registers, EncoderPlan Plan)[] streams = [(false, plain), (true, setting.ApplyTo(plain, prefix))];
        var cases = streams.Select(stream => new RangeCase(RangeCase.Float, null, stream.Registers, null, stream.Plan)).ToList();
        foreach (var baseline in baselines)
        {
            foreach (var width in bits)
            {
                cases.AddRange(streams.Select(stream =>
                {
                    var quantizer = session.Calibration(baseline, width).Calibrate(stream.Plan);
                    return new RangeCase(baseline.Name, width, stream.Registers, quantizer, isQuantized ? quantizer.ApplyTo(stream.Plan) : stream.Plan);
                }));
            }
        }

        return cases;
    }
}
