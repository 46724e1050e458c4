namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// Brings the tensors of any CLIP weight file under OpenCLIP's names (clip.md, section 9.3) and then into the shape that
/// a configuration asks for.
/// </summary>
public static class StateDictLoader
{
    private const string ParallelPrefix = "module.";
    private const string CompiledPrefix = "_orig_mod.";
    private const string TextPrefix = "text.";

    // Integer buffers of OpenAI's archives, which describe the architecture a second time.
    private static readonly string[] Extras = ["input_resolution", "context_length", "vocab_size"];

    /// <summary>
    /// The model's tensors under OpenCLIP names: unwraps a training checkpoint's <c>state_dict</c>, drops what is no
    /// weight, strips the prefixes of parallel and compiled models and of the custom text layout, and converts
    /// HuggingFace names. Nothing is copied.
    /// </summary>
    /// <exception cref="UserException">The file holds no state dict.</exception>
    public static StateDict Load(WeightFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        var root = file.Root is PythonDict dict && dict.TryGet("state_dict", out PythonDict inner) ? inner : file.Root;
        if (root is not (PythonDict or PythonObject))
        {
            throw new UserException($"{file.Path} holds no state dict; save the model's state_dict() or a safetensors file.");
        }

        var state = new StateDict(file.Path, TensorTree.Flatten(root, file.Path).Values);
        if (state.Tensors.Count == 0)
        {
            throw new UserException($"{file.Path} holds no tensors; save the model's state_dict() or a safetensors file.");
        }

        state = StripPrefixes(state).Select(entry => IsExtra(entry.Name) ? null : entry);
        if (HuggingFaceNames.Recognises(state))
        {
            state = HuggingFaceNames.ToOpenClip(state);
        }

        return state.Select(entry => entry.Rename(WithoutPrefix(entry.Name, TextPrefix)));
    }

    /// <summary>
    /// Fits the tensors to a configuration: position tables are resized to its image and context size, the logit scale
    /// and bias get its shape (an absent bias is 0), and the text tower's names get its prefix.
    /// </summary>
    /// <exception cref="UserException">A position table cannot be resized.</exception>
    public static StateDict Fit(StateDict state, ClipConfig config)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(config);
        var fitted = state.Select(entry => FitEntry(entry, config));
        if (config.InitLogitBias is not null && !fitted.Contains("logit_bias"))
        {
            long[] shape = config.NonscalarLogitScale ? [1] : [];
            fitted = new StateDict(state.Source, [.. fitted.Tensors, WeightEntry.FromValues<float>("logit_bias", [0f], shape)]);
        }

        return config.CustomText
            ? fitted.Select(entry => ClipParameters.IsOfTextTower(entry.Name) ? entry.Rename(TextPrefix + entry.Name) : entry)
            : fitted;
    }

    private static WeightEntry FitEntry(WeightEntry entry, ClipConfig config) => entry.Name switch
    {
        "logit_scale" or "logit_bias" when entry.ElementCount == 1 => entry.Reshape(config.NonscalarLogitScale ? [1] : []),
        "visual.positional_embedding" => PositionEmbeddings.Fit(entry, config.Vision),
        "positional_embedding" when config.Text is { } text => PositionEmbeddings.Fit(entry, text),
        _ => entry,
    };

    private static StateDict StripPrefixes(StateDict state)
    {
        var plain = state.Select(entry => entry.Rename(entry.Name.Replace(CompiledPrefix, string.Empty, StringComparison.Ordinal)));
        return plain.Tensors[0].Name.StartsWith(ParallelPrefix, StringComparison.Ordinal)
            ? plain.Select(entry => entry.Rename(WithoutPrefix(entry.Name, ParallelPrefix)))
            : plain;
    }

    private static bool IsExtra(string name) =>
        Extras.Contains(name)
        || name.EndsWith("attn_mask", StringComparison.Ordinal)
        || name.EndsWith("embeddings.position_ids", StringComparison.Ordinal);

    private static string WithoutPrefix(string name, string prefix) =>
        name.StartsWith(prefix, StringComparison.Ordinal) ? name[prefix.Length..] : name;
}
