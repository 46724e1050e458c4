namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>Infers a configuration from the shapes of a checkpoint.</summary>
public static class ClipArchitecture
{
    // The head width of all of OpenAI's models; shapes do not show it.
    private const int HeadWidth = 64;

    /// <summary>The configuration that the shapes tell of. The activation does not show; it is left at exact GELU.</summary>
    /// <param name="state">Tensors under OpenCLIP names.</param>
    /// <exception cref="UserException">The tensors are not those of a CLIP vision transformer, or the head width cannot be known.</exception>
    public static ClipConfig Infer(StateDict state)
    {
        ArgumentNullException.ThrowIfNull(state);
        if (state.Contains("visual.layer1.0.conv1.weight"))
        {
            throw new UserException($"{state.Source} holds a ResNet vision tower, which is not supported here; use a ViT checkpoint.");
        }

        var patches = Matrix(state, "visual.positional_embedding").Rows - 1;
        var grid = (int)Math.Round(Math.Sqrt(patches));
        var convolution = state["visual.conv1.weight"].Shape;
        if ((long)grid * grid != patches || convolution is not [> 0 and <= int.MaxValue and var width, 3, > 0 and <= int.MaxValue and var patch, var patchWidth] || patch != patchWidth)
        {
            throw Unclear(state, $"its {patches} patch positions and convolution {WeightEntry.Describe(convolution)} are no square grid of square patches");
        }

        var text = state.Contains("token_embedding.weight") ? InferText(state) : null;
        return new ClipConfig
        {
            EmbedDim = Matrix(state, "visual.proj").Columns,
            Vision = new VisionConfig
            {
                Layers = Layers(state, "visual.transformer"),
                Width = (int)width,
                HeadWidth = HeadWidthOf(state, (int)width),
                MlpRatio = MlpRatio(state, "visual.transformer", (int)width),
                PatchSize = (int)patch,
                ImageSize = (grid * (int)patch, grid * (int)patch),
                LayerScaleInit = Gain(state, "visual.transformer"),
                NoLnPre = !state.Contains("visual.ln_pre.weight"),
            },
            Text = text,
            InitLogitBias = state.Contains("logit_bias") ? 0 : null,
            NonscalarLogitScale = state.Find("logit_scale")?.Shape.Count == 1,
        }.Validated(state.Source);
    }

    /// <summary>The configuration without its text tower if the tensors have none, as files of a vision tower alone.</summary>
    public static ClipConfig WithoutAbsentText(ClipConfig config, StateDict state)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(state);
        return state.Tensors.Any(entry => ClipParameters.IsOfTextTower(entry.Name)) ? config : config with { Text = null };
    }

    private static TextConfig InferText(StateDict state)
    {
        var (vocabulary, width) = Matrix(state, "token_embedding.weight");
        return new TextConfig
        {
            ContextLength = Matrix(state, "positional_embedding").Rows,
            VocabSize = vocabulary,
            Width = width,
            Heads = width / HeadWidthOf(state, width),
            Layers = Layers(state, "transformer"),
            MlpRatio = MlpRatio(state, "transformer", width),
            LayerScaleInit = Gain(state, "transformer"),
            ProjBias = state.Contains("text_projection.bias"),
            HasProjection = state.Contains("text_projection") || state.Contains("text_projection.weight"),
        };
    }

    private static (int Rows, int Columns) Matrix(StateDict state, string name) =>
        state[name].Shape is [> 0 and <= int.MaxValue and var rows, > 0 and <= int.MaxValue and var columns]
            ? ((int)rows, (int)columns)
            : throw Unclear(state, $"{state[name]} is no matrix");

    private static int Layers(StateDict state, string tower)
    {
        var layers = 0;
        while (state.Contains($"{tower}.resblocks.{layers}.attn.in_proj_weight"))
        {
            layers++;
        }

        return layers > 0 ? layers : throw Unclear(state, $"{tower} has no blocks");
    }

    private static double MlpRatio(StateDict state, string tower, int width) =>
        MlpRatios.Of(Matrix(state, $"{tower}.resblocks.0.mlp.c_fc.weight").Rows, width);

    private static double? Gain(StateDict state, string tower) => state.Contains($"{tower}.resblocks.0.ls_1.gamma") ? 1e-5 : null;

    private static int HeadWidthOf(StateDict state, int width) =>
        width % HeadWidth == 0 ? HeadWidth : throw Unclear(state, $"the width {width} is no multiple of the usual head width {HeadWidth}");

    private static UserException Unclear(StateDict state, string why) =>
        new($"{state.Source}: the architecture cannot be read from the weights, as {why}; put the model's JSON configuration beside them.");
}

/// <summary>The tensors that a CLIP model of a given configuration consists of.</summary>
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

/// <summary>
/// Chooses the activation of both towers. Some published weights were trained with the quick GELU
/// although the configuration of their name says exact GELU, and lose accuracy when they are run with it.
/// </summary>
public static class QuickGeluRule
{
    private static readonly string[] QuickTags = ["openai", "quickgelu", "metaclip", "dfn"];

    /// <summary>Whether weights are known to be trained with the quick GELU.</summary>
    /// <param name="config">The architecture: the LAION-400M weights are quick for ViT-B-32 only.</param>
    /// <param name="tag">What names the weights, such as "openai" or a file name; null when nothing does.</param>
    /// <param name="container">The form of the weight file: OpenAI's originals are TorchScript archives.</param>
    public static bool IsKnown(ClipConfig config, string? tag, WeightContainer container)
    {
        ArgumentNullException.ThrowIfNull(config);
        bool Has(string word) => tag?.Contains(word, StringComparison.OrdinalIgnoreCase) ?? false;
        return container == WeightContainer.TorchScript
            || QuickTags.Any(Has)
            || (Has("laion400m") && config.Vision is { PatchSize: 32, Width: 768 });
    }

    /// <summary>
    /// The configuration with the activation that the weights need; with <paramref name="literal"/> the configuration
    /// as it is, which reproduces the mismatch that upstream only warns of.
    /// </summary>
    /// <param name="config">The configuration as its file or name gives it.</param>
    /// <param name="tag">What names the weights, such as "openai" or a file name; null when nothing does.</param>
    /// <param name="container">The form of the weight file: OpenAI's originals are TorchScript archives.</param>
    /// <param name="literal">True to leave the activation alone.</param>
    public static ClipConfig Apply(ClipConfig config, string? tag, WeightContainer container, bool literal = false) =>
        literal || !IsKnown(config, tag, container) ? config : config with { QuickGelu = true };
}

/// <summary>MLP ratios that give back the number of hidden channels they were made from.</summary>
internal static class MlpRatios
{
    /// <summary>The ratio r with floor(width * r) = hidden.</summary>
    public static double Of(int hidden, int width)
    {
        var ratio = hidden / (double)width;
        return (int)(width * ratio) == hidden ? ratio : Math.BitIncrement(ratio);
    }
}
