namespace RegCache.Lab.Cli.Options;

/// <summary>What the options about the model say; see <see cref="ModelOptions"/>.</summary>
/// <param name="Path">Model folder or weight file.</param>
/// <param name="Config">Configuration file or name; null: found beside the weights or in their shapes.</param>
/// <param name="Pretrained">Tag of the weights.</param>
/// <param name="LiteralActivation">Keep the activation that the configuration names.</param>
/// <param name="Classifier">File of a ready classifier; null: made from prompts.</param>
/// <param name="Prompts">File of class names and templates; null: the class folders' names.</param>
/// <param name="Heads">Attention heads of the vision tower; null: as published.</param>
/// <param name="WeightsKey">Which model of a checkpoint; null: the only one.</param>
internal sealed record ModelSettings(
    string Path, string? Config, string Pretrained, bool LiteralActivation, string? Classifier, string? Prompts, int? Heads, string? WeightsKey);
