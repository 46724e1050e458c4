using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Notebooks.Pictures;
using RegCache.Lab.Pooling;
using RegCache.Lab.Reports;
using SixLabors.ImageSharp;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Where a model pools the patches of images, as pictures.</summary>
internal sealed class BoundariesCommand : KitCommand
{
    private readonly Argument<string[]> _images = new("IMAGE") { Description = "Images: files, folders or shards.", Arity = ArgumentArity.OneOrMore };

    private readonly Option<string> _output = new("--out") { Description = "Folder of the pictures, one PNG an image; it is created.", HelpName = "FOLDER", Required = true };
    private readonly Option<int> _scale = new("--scale") { Description = "Pixels of the picture for one of an image.", HelpName = "N", DefaultValueFactory = _ => 2 };

    private readonly ModelOptions _model = new("the demo model, which pools nothing by itself: see --pool", classifies: false);
    private readonly PlanPoolingOptions _pooling = new();
    private readonly RunOptions _run = new(keepsRuns: false);

    /// <inheritdoc/>
    public override string Path => "boundaries";

    /// <inheritdoc/>
    public override string Description => "Draws where a model pools the patches of images: how likely boundaries are, where they are, and the runs between them.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        command.Add(_images);
        command.AddGroup(OptionGroups.Results, _output, _scale);
        _pooling.AddTo(command);
        _model.AddTo(command);
        _run.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var scale = arguments.GetValue(_scale) is >= 1 and <= 16 and var given ? given : throw new UserException($"--scale {arguments.GetValue(_scale)} must be from 1 to 16.");
        var options = _run.Read(arguments, _model.Read(arguments, new() { WithoutImages = true }));
        using var images = NamedImages.Open(arguments.GetRequiredValue(_images), options.SkipBadImages, options.Decoding, context.Cancellation);
        images.Inventories.ToList().ForEach(inventory => inventory.Tell(context.Progress));
        using var experiment = Experiment.Open(options, context.Progress, context.Cancellation);
        var tower = experiment.ImageTower;
        var plan = _pooling.Read(arguments, tower.PlannedBlocks) is { } setting ? setting.ApplyTo(EncoderPlan.Plain(tower.RequireBlocks().Blocks.Count)) : null;
        var reader = new ImageBatchReader(images, new(experiment.Preprocess), new() { SkipBadImages = options.SkipBadImages });
        var folder = arguments.GetRequiredValue(_output);
        var (device, type) = tower.Placement;
        using var progress = context.Progress.Start("boundaries", images.Count, "images");
        foreach (var batch in reader.Read(1, cancellation: context.Cancellation))
        {
            using var scope = torch.NewDisposeScope();
            var image = torch.tensor(batch.Pixels, [1, 3, experiment.Preprocess.Height, experiment.Preprocess.Width]);
            var maps = BoundaryMaps.Of(tower, image.to(type, device), plan)[0];
            var name = images.Name(batch.Indices[0]);
            var path = System.IO.Path.Combine(folder, $"{batch.Indices[0]:000}-{System.IO.Path.GetFileNameWithoutExtension(name)}.png");
            using var picture = BoundaryPicture.Draw(image, experiment.Preprocess, maps, scale);
            AtomicFile.Write(path, stream => picture.SaveAsPng(stream));
            context.Output.WriteLine($"{name}: {maps.Hard.Count} patches in {maps.Runs} runs, mean probability {maps.Soft.Average():0.000}; {path}");
            progress.Report(batch.Indices[^1] + 1);
        }

        return ExitCode.Success;
    }
}
