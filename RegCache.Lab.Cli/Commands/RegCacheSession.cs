using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Storage;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>What the commands about RegCache share: their options, and the model, data and run directory that these name.</summary>
internal sealed class RegCacheSession : IDisposable
{
    // Crops of a search set are read several times; what fits is decoded once.
    private const long CropCacheBytes = 2L << 30;

    private readonly Dictionary<QuantizerFamily, QuantizerSetup> _quantizers;
    private readonly Func<QuantizerFamily, QuantizerSetup> _makeQuantizer;
    private readonly Dictionary<(QuantizerFamily Baseline, QuantizationBits Bits), ICalibrator> _calibrations = [];

    private RegCacheSession(
        LoadedClip clip,
        RunDirectory directory,
        RegCacheSubject subject,
        RegCacheOptions options,
        QuantizerSetup quantizer,
        Func<QuantizerFamily, QuantizerSetup> makeQuantizer)
    {
        _quantizers = new() { [subject.Baseline] = quantizer };
        _makeQuantizer = makeQuantizer;
        Clip = clip;
        Directory = directory;
        Subject = subject;
        Options = options;
    }

    public LoadedClip Clip { get; }

    public RunDirectory Directory { get; }

    public RegCacheSubject Subject { get; }

    public RegCacheOptions Options { get; }

    /// <summary>How the layers run; null: by the tensor operators.</summary>
    public OneDnnBackend? Execution => Subject.Tower.Backend as OneDnnBackend;

    /// <param name="context">The command.</param>
    /// <param name="options">What the command line says.</param>
    /// <param name="others">Families that the command runs beside that of <c>--baseline</c>.</param>
    public static RegCacheSession Open(CommandContext context, SessionOptions options, params QuantizerFamily[] others)
    {
        var arguments = context.Arguments;
        var baseline = options.Baseline.Read(arguments);
        var values = options.Quantizer.Read(arguments, [baseline, .. others]);
        var run = options.Run.Read(arguments);
        var settings = options.NeedsSearchImages
            ? options.Search.Read(arguments)
            : new() { Bits = options.Search.ReadBits(arguments) };
        var locations = options.Data.Read(arguments);
        var validation = OpenClasses(locations, DataVariable.ImageNetValidation, null);
        var search = options.NeedsSearchImages
            ? OpenClasses(locations, DataVariable.TrainSample, validation.ClassNames)
            : validation;
        ComputeSetup.Apply(run);

        var model = options.Model.Read(arguments);
        var execution = ExecutionSetup.Choose(options.Execution.Read(arguments), run, settings.Bits, context.Progress);
        var clip = LoadedClip.Load(model.Path, ComputeSetup.LoadOptions(run, model) with { Backend = execution });
        settings.Validate(clip.Model.Config.Vision.Patches);
        var name = $"{clip.Name}_{baseline.Name}_{settings.Bits}".ToLowerInvariant();
        var directory = RunDirectory.Open(
            run.RunDirectory ?? RunDirectory.Claim(Path.Combine("runs", name), clip.Location, context.Progress), run.Force, context.Progress);
        try
        {
            clip.Assumptions.ToList().ForEach(directory.Progress.Message);
            var classifier = ClassifierSetup.Make(clip, model, validation.ClassNames, directory);
            var order = options.Search.ReadOrder(arguments);
            FolderImageSource Source(ClassFolderDataset dataset) => new FolderImageSource(
                dataset,
                new(clip.Preprocess),
                order,
                new() { SkipBadImages = run.SkipBadImages, CacheBytes = CropCacheBytes },
                context.Cancellation);
            var validationImages = Source(validation);
            CalibrationImages Images()
            {
                var source = Source(ClassFolderDataset.Open(locations.Require(DataVariable.Calibration), DataVariable.Calibration));
                return new(
                    CalibrationImages.Read(source, values.Get(CalibrationImages.CountOption), clip.Model.Vision), source.Fingerprint)
                {
                    Memory = values.Get(CalibrationImages.MemoryOption),
                    Progress = directory.Progress,
                    Cancellation = context.Cancellation,
                };
            }

            QuantizerSetup Quantizer(QuantizerFamily family) => new(
                family, new(clip.Model.Vision, classifier, settings.Bits, run.Batch, Images) { Values = values });
            var quantizer = Quantizer(baseline);
            var subject = new RegCacheSubject(
                clip.Name,
                clip.Pretrained,
                $"{clip.Identity}-{run.Precision}-{run.Device}",
                clip.Model.Vision,
                classifier,
                options.NeedsSearchImages ? Source(search) : validationImages,
                validationImages,
                baseline,
                quantizer.At,
                run.Batch,
                values.Get(NaiveFamily.Scope).ToString().ToLowerInvariant())
            {
                Execution = $"{execution?.Mode}",
            };
            return new(clip, directory, subject, settings, quantizer, Quantizer);
        }
        catch
        {
            directory.Dispose();
            clip.Dispose();
            throw;
        }
    }

    /// <summary>The calibration at given bit-widths, kept in the run directory.</summary>
    public ICalibrator Calibration(QuantizationBits bits) => Calibration(Subject.Baseline, bits);

    /// <summary>The same of any family.</summary>
    public ICalibrator Calibration(QuantizerFamily baseline, QuantizationBits bits)
    {
        if (!_calibrations.TryGetValue((baseline, bits), out var calibration))
        {
            if (!_quantizers.TryGetValue(baseline, out var quantizer))
            {
                _quantizers.Add(baseline, quantizer = _makeQuantizer(baseline));
            }

            calibration = new StoredCalibrator(
                new RememberedCalibrator(quantizer.At(bits)),
                Directory.PathOf("calibration"),
                Subject.Tower,
                Subject.ModelHash,
                Directory.Progress,
                Directory.Force);
            _calibrations.Add((baseline, bits), calibration);
        }

        return calibration;
    }

    /// <summary>Names the images that were left out, if any.</summary>
    public void ReportUnreadable()
    {
        foreach (var source in new[] { Subject.SearchImages, Subject.ValidationImages }.OfType<FolderImageSource>().Distinct())
        {
            if (source.Unreadable.Count > 0)
            {
                Directory.Progress.Message(
                    $"{source.Unreadable.Count} unreadable images were left out: {string.Join(", ", source.Unreadable.Select(image => image.Path))}.");
            }
        }
    }

    /// <summary>Tells how many layers ran in integers, if any should have.</summary>
    public void ReportExecution()
    {
        if (Execution is { Mode: ExecutionMode.Integer } execution && execution.Describe() is { } description)
        {
            Directory.Progress.Message($"{description}.");
        }
    }

    public void Dispose()
    {
        Directory.Dispose();
        foreach (var quantizer in _quantizers.Values)
        {
            quantizer.Dispose();
        }

        Subject.Classifier.Dispose();
        Clip.Dispose();
    }

    private static ClassFolderDataset OpenClasses(
        DataLocations locations, DataVariable variable, IReadOnlyList<string>? expected) =>
        ClassFolderDataset.OpenClasses(locations.Require(variable), variable, expected);
}
