using RegCache.Lab.Encoders;
using RegCache.Lab.Memory;
using RegCache.Lab.Pooling.Towers;

namespace RegCache.Lab.Training.Clip;

/// <summary>Chooses what a training changes: all of a model, its memory layers alone, or all but locked towers (docs/methods/clip.md, "Locking").</summary>
internal static class TrainedParameters
{
    /// <summary>Sets which tensors require gradients.</summary>
    /// <exception cref="UserException">Nothing is left to train, patches of a tower without them are to be dropped, or a tower has fewer groups than are to be unlocked.</exception>
    public static void Choose(ClipModel model, ClipTrainingConfig config)
    {
        if (model.ImageTower is not VisionTower && config.PatchDropout > 0)
        {
            throw new UserException($"`patch_dropout` is {config.PatchDropout}, but the image encoder is a ResNet or a DRIP tower, which drops no patches; set it to 0.");
        }

        foreach (var (name, tensor) in model.Weights.Parameters)
        {
            tensor.requires_grad = !BatchNorm.IsStatistic(name) && !TextPooler.IsTable(name);
        }

        if (model.Config.Vision.Memory is not null && config.TrainOnlyMemory)
        {
            MemoryStudent.TrainOnlyMemory(model);
        }

        if (config.LockImage)
        {
            Lock(model, VisionGroups(model.Config.Vision), name => name.StartsWith("visual.", StringComparison.Ordinal) && !TowerPredictors.IsPredictor(name), config.LockImageUnlockedGroups, "lock_image_unlocked_groups");
        }

        if (config.LockText)
        {
            var prefix = model.Config.CustomText ? "text." : "";
            Lock(
                model,
                TextGroups(model.Config.Text!, prefix),
                name => !name.StartsWith("visual.", StringComparison.Ordinal) && !name.StartsWith("logit_", StringComparison.Ordinal),
                config.LockTextUnlockedLayers,
                "lock_text_unlocked_layers");
        }

        if (!model.Weights.Parameters.Any(pair => pair.Value.requires_grad && pair.Key != "logit_scale"))
        {
            throw new UserException("Nothing is left to train: `lock_image`, `lock_text` and `train_only_memory` together freeze the whole model; set one of them to false.");
        }
    }

    // A ResNet is locked as a whole, its running statistics included; so is a DRIP tower.
    private static string[][] VisionGroups(VisionConfig vision) => vision.Stages is null && vision.Pooling is null or { Entry.IsClip: true } ? TransformerGroups(vision) : [];

    // OpenCLIP's groups, from the input on: embeddings, blocks, the last block with the final norm, the projection.
    private static string[][] TransformerGroups(VisionConfig vision) =>
        Groups(vision.Layers, "visual.transformer.resblocks.", ["visual.conv1", "visual.class_embedding", "visual.positional_embedding", "visual.ln_pre"], "visual.ln_post", "visual.proj");

    private static string[][] TextGroups(TextConfig text, string prefix) =>
        Groups(text.Layers, $"{prefix}transformer.resblocks.", [$"{prefix}token_embedding", $"{prefix}positional_embedding"], $"{prefix}ln_final", $"{prefix}text_projection");

    private static string[][] Groups(int layers, string block, string[] embeddings, string norm, string projection) =>
        [embeddings, .. Enumerable.Range(0, layers - 1).Select(layer => new[] { $"{block}{layer}." }), [$"{block}{layers - 1}.", norm], [projection]];

    private static void Lock(ClipModel model, string[][] groups, Func<string, bool> isOfTower, int unlocked, string field)
    {
        if (unlocked > groups.Length)
        {
            throw new UserException(groups.Length == 0
                ? $"`{field}` is {unlocked}, but such a tower can be locked as a whole alone; set it to 0."
                : $"`{field}` is {unlocked}, but the tower has {groups.Length} groups; lower it.");
        }

        string[] open = [.. groups.TakeLast(unlocked).SelectMany(group => group)];
        foreach (var (name, tensor) in model.Weights.Parameters)
        {
            if (isOfTower(name) && !open.Any(start => name.StartsWith(start, StringComparison.Ordinal)))
            {
                tensor.requires_grad = false;
            }
        }
    }
}
