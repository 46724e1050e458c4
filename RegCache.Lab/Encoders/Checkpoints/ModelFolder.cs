namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// Where the parts of a model lie: a folder as published (weights, configuration, tokenizer side by side), or a weight
/// file with the rest beside it.
/// </summary>
/// <param name="Weights">The weight file.</param>
/// <param name="Config">The configuration beside it; null when there is none.</param>
/// <param name="Folder">The folder of both, in which a tokenizer is looked for.</param>
public sealed record ModelFolder(string Weights, string? Config, string Folder)
{
    // In the order in which OpenCLIP prefers them (clip.md, section 2).
    private static readonly string[] WeightNames =
    [
        "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth",
        "model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth", "model.pt",
    ];

    private static readonly string[] ConfigNames = ["open_clip_config.json", "config.json"];

    /// <summary>Finds the parts.</summary>
    /// <param name="path">A folder or a weight file.</param>
    /// <exception cref="UserException">There is no such file, or the folder has no weights under a known name.</exception>
    public static ModelFolder Open(string path)
    {
        if (File.Exists(path))
        {
            var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            return new(path, Find(folder, ConfigNames), folder);
        }

        if (!Directory.Exists(path))
        {
            throw new UserException($"The model {path} does not exist; give a model folder or a weight file.");
        }

        var weights = Find(path, WeightNames) ?? throw new UserException(
            $"The folder {path} has no weights; put one of {string.Join(", ", WeightNames)} into it, or name the weight file itself.");
        return new(weights, Find(path, ConfigNames), path);
    }

    private static string? Find(string folder, string[] names) =>
        names.Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
}
