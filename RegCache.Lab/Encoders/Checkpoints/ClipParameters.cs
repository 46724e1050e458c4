namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>The tensors that a CLIP model of a given configuration consists of (clip.md, section 8).</summary>
public static class ClipParameters
{
    /// <summary>Names and shapes in OpenCLIP's order.</summary>
    public static IReadOnlyList<(string Name, long[] Shape)> Of(ClipConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var prefix = config.CustomText ? "text." : string.Empty;
        long[] scalar = config.NonscalarLogitScale ? [1] : [];
        var list = new List<(string Name, long[] Shape)>();
        if (config.Text is { } text)
        {
            list.Add((prefix + "positional_embedding", [text.ContextLength, text.Width]));
            list.AddRange(TextProjection(prefix, text, config.EmbedDim));
            list.Add(("logit_scale", scalar));
            if (config.InitLogitBias is not null)
            {
                list.Add(("logit_bias", scalar));
            }
        }

        list.AddRange(VisionParameters(config.Vision, config.EmbedDim));
        if (config.Text is { } tower)
        {
            list.AddRange(Blocks(prefix + "transformer", tower.Layers, tower.Width, tower.MlpWidth, tower.LayerScaleInit));
            list.Add((prefix + "token_embedding.weight", [tower.VocabSize, tower.Width]));
            list.AddRange(Norm(prefix + "ln_final", tower.Width));
        }

        return list;
    }

    /// <summary>Compares what a file holds with what a configuration asks for.</summary>
    /// <param name="state">Tensors after <see cref="StateDictLoader.Fit"/>.</param>
    /// <param name="config">The configuration.</param>
    /// <returns>Names that are missing, names that nothing asks for, and names whose shape differs.</returns>
    public static StateDictDifferences Compare(StateDict state, ClipConfig config)
    {
        ArgumentNullException.ThrowIfNull(state);
        var wanted = Of(config);
        var names = wanted.Select(parameter => parameter.Name).ToHashSet();
        return new StateDictDifferences(
            [.. wanted.Where(parameter => !state.Contains(parameter.Name)).Select(parameter => parameter.Name)],
            [.. state.Tensors.Where(entry => !names.Contains(entry.Name)).Select(entry => entry.Name)],
            [.. wanted.Where(parameter => state.Find(parameter.Name) is { } entry && !entry.Shape.SequenceEqual(parameter.Shape))
                .Select(parameter => $"{state[parameter.Name]} instead of {WeightEntry.Describe(parameter.Shape)}")]);
    }

    /// <summary>Whether a name, without the prefix of the custom text layout, belongs to the text tower.</summary>
    internal static bool IsOfTextTower(string name) =>
        name == "positional_embedding"
        || name.StartsWith("text_projection", StringComparison.Ordinal)
        || name.StartsWith("token_embedding.", StringComparison.Ordinal)
        || name.StartsWith("transformer.", StringComparison.Ordinal)
        || name.StartsWith("ln_final.", StringComparison.Ordinal);

    private static IEnumerable<(string Name, long[] Shape)> VisionParameters(VisionConfig vision, int embedDim) =>
    [
        ("visual.class_embedding", [vision.Width]),
        ("visual.positional_embedding", [vision.Patches + 1, vision.Width]),
        ("visual.proj", [vision.Width, embedDim]),
        ("visual.conv1.weight", [vision.Width, 3, vision.PatchSize, vision.PatchSize]),
        .. vision.NoLnPre ? [] : Norm("visual.ln_pre", vision.Width),
        .. Blocks("visual.transformer", vision.Layers, vision.Width, vision.MlpWidth, vision.LayerScaleInit),
        .. Norm("visual.ln_post", vision.Width),
    ];

    private static (string Name, long[] Shape)[] TextProjection(string prefix, TextConfig text, int embedDim) => text switch
    {
        { HasProjection: false } => [],
        { ProjBias: true } => [(prefix + "text_projection.weight", [embedDim, text.Width]), (prefix + "text_projection.bias", [embedDim])],
        _ => [(prefix + "text_projection", [text.Width, embedDim])],
    };

    private static IEnumerable<(string Name, long[] Shape)> Blocks(string tower, int layers, int width, int mlpWidth, double? gain)
    {
        (string Name, long[] Shape)[] Gain(string name) => gain is null ? [] : [(name, [width])];
        return Enumerable.Range(0, layers).Select(layer => $"{tower}.resblocks.{layer}.").SelectMany<string, (string, long[])>(block =>
        [
            .. Norm(block + "ln_1", width),
            (block + "attn.in_proj_weight", [3 * width, width]),
            (block + "attn.in_proj_bias", [3 * width]),
            (block + "attn.out_proj.weight", [width, width]),
            (block + "attn.out_proj.bias", [width]),
            .. Gain(block + "ls_1.gamma"),
            .. Norm(block + "ln_2", width),
            (block + "mlp.c_fc.weight", [mlpWidth, width]),
            (block + "mlp.c_fc.bias", [mlpWidth]),
            (block + "mlp.c_proj.weight", [width, mlpWidth]),
            (block + "mlp.c_proj.bias", [width]),
            .. Gain(block + "ls_2.gamma"),
        ]);
    }

    private static (string Name, long[] Shape)[] Norm(string name, int width) => [(name + ".weight", [width]), (name + ".bias", [width])];
}
