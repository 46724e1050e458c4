using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>What a merging study runs on: a CLIP model with its zero-shot classifier, or a plain ViT classifier.</summary>
internal sealed class StudyMergingSubject : IDisposable
{
    private readonly IDisposable _model;

    private StudyMergingSubject(IDisposable model, VisionTower tower, string name, string hash, RunDirectory directory, ZeroShotClassifier classifier, FolderImageSource images, PreprocessOptions preprocess)
    {
        _model = model;
        Tower = tower;
        Name = name;
        Hash = hash;
        Directory = directory;
        Classifier = classifier;
        Images = images;
        Preprocess = preprocess;
    }

    public VisionTower Tower { get; }

    public string Name { get; }

    public string Hash { get; }

    public RunDirectory Directory { get; }

    public ZeroShotClassifier Classifier { get; }

    public FolderImageSource Images { get; }

    public PreprocessOptions Preprocess { get; }

    /// <summary>The model's shapes and activation in one line.</summary>
    public required string Architecture { get; init; }

    /// <summary>What was assumed about the model, one sentence each.</summary>
    public required IReadOnlyList<string> Assumptions { get; init; }

    /// <summary>Loads model and data, and opens the run directory.</summary>
    public static StudyMergingSubject Open(CommandContext context, StudyMergingOptions options)
    {
        var arguments = context.Arguments;
        var (run, model) = (options.Run.Read(arguments), options.Model.Read(arguments));
        var variable = DataVariable.ImageNetValidation;
        var dataset = ClassFolderDataset.OpenClasses(options.Data.Read(arguments).Require(variable), variable);
        ComputeSetup.Apply(run);
        return File.Exists(model.Path) && VitClassifierLoader.Recognises(model.Path)
            ? OpenVit(context, options, run, model, dataset)
            : OpenClip(context, run, model, dataset);
    }

    public void Dispose()
    {
        Directory.Dispose();
        Classifier.Dispose();
        _model.Dispose();
    }

    private static StudyMergingSubject OpenClip(CommandContext context, RunSettings run, ModelSettings model, ClassFolderDataset dataset)
    {
        var clip = LoadedClip.Load(model.Path, ComputeSetup.LoadOptions(run, model));
        return Finish(context, run, dataset, clip, clip.Model, (clip.Name, clip.Location, clip.Assumptions), clip.Hash, clip.Preprocess,
            directory => ClassifierSetup.Make(clip, model, dataset.ClassNames, directory));
    }

    private static StudyMergingSubject OpenVit(
        CommandContext context, StudyMergingOptions options, RunSettings run, ModelSettings model, ClassFolderDataset dataset)
    {
        var placement = ComputeSetup.LoadOptions(run, model);
        var assumptions = new List<string>();
        var vit = VitClassifierLoader.Load(model.Path, new()
        {
            Heads = model.Heads,
            WeightsKey = model.WeightsKey,
            Assumptions = assumptions,
            Device = placement.Device,
            Type = placement.Type,
            Backend = placement.Backend,
        });
        var (classes, name) = (vit.Config.EmbedDim, Path.GetFileNameWithoutExtension(model.Path));
        return Finish(context, run, dataset, vit, vit, (name, Path.GetFullPath(model.Path), assumptions), ContentHash.OfFile(model.Path),
            options.Preprocess(context.Arguments, vit.Config.Vision.ImageSize),
            _ => classes == dataset.ClassNames.Count
                // Its features are the logits already.
                ? new ZeroShotClassifier(torch.eye(classes, device: placement.Device))
                : throw new UserException(
                    $"There are {dataset.ClassNames.Count} class folders, but {model.Path} classifies {classes} classes; use the folders of those classes."));
    }

    private static StudyMergingSubject Finish(
        CommandContext context,
        RunSettings run,
        ClassFolderDataset dataset,
        IDisposable owned,
        ClipModel clip,
        (string Name, string Location, IReadOnlyList<string> Assumptions) model,
        string hash,
        PreprocessOptions preprocess,
        Func<RunDirectory, ZeroShotClassifier> classifier)
    {
        RunDirectory? directory = null;
        try
        {
            directory = RunDirectory.Open(
                run.RunDirectory ?? RunDirectory.Claim(Path.Combine("runs", $"merging_{model.Name}".ToLowerInvariant()), model.Location, context.Progress),
                run.Force,
                context.Progress);
            model.Assumptions.ToList().ForEach(directory.Progress.Message);
            var images = new FolderImageSource(
                dataset, new(preprocess), options: new() { SkipBadImages = run.SkipBadImages }, cancellation: context.Cancellation);
            return new(owned, clip.Vision, model.Name, hash, directory, classifier(directory), images, preprocess) { Architecture = clip.Config.Describe(), Assumptions = model.Assumptions };
        }
        catch
        {
            directory?.Dispose();
            owned.Dispose();
            throw;
        }
    }
}
