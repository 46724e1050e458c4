using RegCache.Lab.Data.Images;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Memory;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.Clip;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Trains CLIP on image-text pairs.</summary>
internal sealed class TrainClipCommand : TrainCommand<ClipTrainingConfig>
{
    /// <inheritdoc/>
    public override string Path => "train clip";

    /// <inheritdoc/>
    public override string Description => "Trains CLIP on image-text pairs, from random or given weights, with memory layers if wanted.";

    /// <inheritdoc/>
    protected override TrainingStart Begin(ClipTrainingConfig config, torch.Device device, IWorkProgress progress)
    {
        if (config.Pretrained is { } path)
        {
            var loaded = Load(path, config, device, progress);
            var origins = new Dictionary<string, LoadedClip> { ["pretrained"] = loaded };
            var tokenizer = Tokenizer(config, loaded.Model.Config, loaded);

            // A model that has memory layers is trained on as it is.
            return config.UseMemory && loaded.Model.Config.Vision.Memory is null
                ? new(MemoryStudent.Of(loaded.Model, config.Memory(loaded.Model.Config.Vision), config.MemoryInit, config.Seed), loaded.Preprocess, tokenizer, origins)
                : new(loaded.Model, loaded.Preprocess, tokenizer, origins);
        }

        var architecture = ClipConfigs.Find(config.Model!) ?? ClipConfigJson.Load(config.Model!);
        if (config.UseMemory && architecture.Vision.Memory is null)
        {
            architecture = architecture with { Vision = architecture.Vision with { Memory = config.Memory(architecture.Vision) } };
        }

        using var drawn = ClipInitialization.Draw(architecture, config.Seed, config.MemoryInit);
        var weights = new WeightTable(
            drawn.Source, drawn.Names.Select(name => KeyValuePair.Create(name, drawn[name].to(device, copy: true))));
        var size = architecture.Vision.ImageSize;
        return new(new(architecture, weights), new PreprocessOptions(size.Height, size.Width), Tokenizer(config, architecture, null), new Dictionary<string, LoadedClip>());
    }

    /// <inheritdoc/>
    protected override PairTask Prepare(ClipTrainingConfig config, TrainingStart start, TrainingInputs inputs) =>
        new ClipTask(start.Model, inputs.Train, inputs.Validation, start.Preprocess, start.Tokenizer, config, inputs.Unreadable, Processes.Current);
}
