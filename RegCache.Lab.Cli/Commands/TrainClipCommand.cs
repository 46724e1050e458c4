using RegCache.Lab.Data.Images;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Memory;
using RegCache.Lab.Pooling.Towers;
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

            // A model that pools or has memory layers is trained on as it is.
            if (config.Pools && loaded.Model.Config is { Vision.Pooling: null, Text.Pooling: null })
            {
                var pooled = PooledModels.Of(
                    loaded.Model, config.WithPooling(loaded.Model.Config, keepDepth: true), architecture => ClipInitialization.Draw(architecture, config.Seed, config.MemoryInit));
                PooledModels.FillWordEnds(pooled.Config, pooled.Weights, tokenizer);
                return config.UseMemory
                    ? throw new UserException("`use_memory` and `boundary_tower` begin with one another's model: train one of them first, and begin with what it saved.")
                    : new(pooled, loaded.Preprocess, tokenizer, origins);
            }

            return config.UseMemory && loaded.Model.Config.Vision.Memory is null
                ? new(MemoryStudent.Of(loaded.Model, config.Memory(loaded.Model.Config.Vision), config.MemoryInit, config.Seed), loaded.Preprocess, tokenizer, origins)
                : new(loaded.Model, loaded.Preprocess, tokenizer, origins);
        }

        var architecture = ClipConfigs.Find(config.Model!) ?? ClipConfigJson.Load(config.Model!);
        if (config.UseMemory && architecture.Vision.Memory is null)
        {
            architecture = architecture with { Vision = architecture.Vision with { Memory = config.Memory(architecture.Vision) } };
        }

        architecture = config.Pools ? config.WithPooling(architecture, keepDepth: false) : architecture;
        using var drawn = ClipInitialization.Draw(architecture, config.Seed, config.MemoryInit);
        var weights = new WeightTable(
            drawn.Source, drawn.Names.Select(name => KeyValuePair.Create(name, drawn[name].to(device, copy: true))));
        var size = architecture.Vision.ImageSize;
        var words = Tokenizer(config, architecture, null);
        PooledModels.FillWordEnds(architecture, weights, words);
        return new(new(architecture, weights), new PreprocessOptions(size.Height, size.Width), words, new Dictionary<string, LoadedClip>());
    }

    /// <inheritdoc/>
    protected override PairTask Prepare(ClipTrainingConfig config, TrainingStart start, TrainingInputs inputs) =>
        new ClipTask(start.Model, inputs.Train, inputs.Validation, start.Preprocess, start.Tokenizer, config, inputs.Unreadable, Processes.Current);
}
