using RegCache.Lab.Memory;
using RegCache.Lab.Pooling.Towers;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>Infers a configuration from the shapes of a checkpoint.</summary>
public static class ClipArchitecture
{
    /// <summary>
    /// The configuration that the shapes tell of. The activation does not show; it is left at exact GELU. Neither does the number of
    /// heads, which is that of published models of these shapes.
    /// </summary>
    /// <param name="state">Tensors under OpenCLIP names.</param>
    /// <param name="heads">Heads of the vision tower; null: as published models have.</param>
    /// <param name="assumptions">Receives what was assumed, one sentence each; null for nobody.</param>
    /// <exception cref="UserException">The tensors are not those of a CLIP vision transformer, or the number of heads cannot be known.</exception>
    public static ClipConfig Infer(StateDict state, int? heads = null, ICollection<string>? assumptions = null)
    {
        ArgumentNullException.ThrowIfNull(state);
        if (state.Contains("visual.layer1.0.conv1.weight"))
        {
            return InferResNet(state, heads, assumptions);
        }

        var patches = Matrix(state, "visual.positional_embedding").Rows - 1;
        var grid = (int)Math.Round(Math.Sqrt(patches));
        var convolution = state["visual.conv1.weight"].Shape;
        if ((long)grid * grid != patches || convolution is not [> 0 and <= int.MaxValue and var width, 3, > 0 and <= int.MaxValue and var patch, var patchWidth] || patch != patchWidth)
        {
            throw Unclear(state, $"its {patches} patch positions and convolution {WeightEntry.Describe(convolution)} are no square grid of square patches");
        }

        var visionHeads = heads is { } given ? Dividing(state, given, (int)width) : Heads(state, "visual.transformer", (int)width, assumptions);
        var text = state.Contains("token_embedding.weight") ? InferText(state, assumptions) : null;
        var hasProjection = text is not null || state.Contains("visual.proj");
        var config = new ClipConfig
        {
            EmbedDim = hasProjection ? Matrix(state, "visual.proj").Columns : (int)width,
            Vision = new VisionConfig
            {
                Layers = Layers(state, "visual.transformer"),
                Width = (int)width,
                HeadWidth = (int)width / visionHeads,
                MlpRatio = MlpRatio(state, "visual.transformer", (int)width),
                PatchSize = (int)patch,
                ImageSize = (grid * (int)patch, grid * (int)patch),
                LayerScaleInit = Gain(state, "visual.transformer"),
                NoLnPre = !state.Contains("visual.ln_pre.weight"),
                HasProjection = hasProjection,
            },
            Text = text,
            InitLogitBias = state.Contains("logit_bias") ? 0 : null,
            NonscalarLogitScale = state.Find("logit_scale")?.Shape.Count == 1,
        };
        return MemoryCheckpoint.Complete(config, state, assumptions).Validated(state.Source);
    }

    private static ClipConfig InferResNet(StateDict state, int? heads, ICollection<string>? assumptions)
    {
        var (positions, channels) = Matrix(state, "visual.attnpool.positional_embedding");
        var grid = (int)Math.Round(Math.Sqrt(positions - 1));
        if ((grid * grid) + 1 != positions || channels % ModifiedResNet.Stride != 0)
        {
            throw Unclear(state, $"the {positions} positions of {channels} channels of its attention pooling are those of no square map");
        }

        var vision = new VisionConfig
        {
            Stages = [.. Enumerable.Range(1, 4).Select(Blocks)],
            Layers = 0,
            Width = channels / ModifiedResNet.Stride,
            ImageSize = (grid * ModifiedResNet.Stride, grid * ModifiedResNet.Stride),
        };
        if (heads is { } given)
        {
            vision = vision with { HeadWidth = channels / Dividing(state, given, channels) };
        }
        else
        {
            assumptions?.Add(
                $"The attention pooling is taken to have {PublishedModels.Count(vision.Heads)} of {vision.HeadWidth} channels, as in every published ResNet; the weights do not tell (--heads or --model-config does).");
        }

        return new ClipConfig
        {
            EmbedDim = Matrix(state, "visual.attnpool.c_proj.weight").Rows,
            Vision = vision,
            Text = state.Contains("token_embedding.weight") ? InferText(state, assumptions) : null,
            InitLogitBias = state.Contains("logit_bias") ? 0 : null,
            NonscalarLogitScale = state.Find("logit_scale")?.Shape.Count == 1,
        }.Validated(state.Source);

        int Blocks(int stage)
        {
            var blocks = 0;
            while (state.Contains($"visual.layer{stage}.{blocks}.conv1.weight"))
            {
                blocks++;
            }

            return blocks;
        }
    }

    /// <summary>
    /// The configuration of what the tensors hold: without text tower where they have none, as files of a vision tower alone, and then
    /// without projection where they have none either, as HuggingFace's <c>CLIPVisionModel</c>.
    /// </summary>
    public static ClipConfig WithoutAbsentParts(ClipConfig config, StateDict state)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(state);
        if (state.Tensors.Any(entry => ClipParameters.IsOfTextTower(entry.Name)))
        {
            return config;
        }

        var vision = config.Vision;
        return vision.Stages is not null || vision.Pooling is { Entry.IsClip: false } || state.Contains("visual.proj") || state.Unreadable.ContainsKey("visual.proj")
            ? config with { Text = null }
            : config with { Text = null, EmbedDim = vision.Width * vision.PooledTokens, Vision = vision with { HasProjection = false } };
    }

    private static TextConfig InferText(StateDict state, ICollection<string>? assumptions)
    {
        var (vocabulary, width) = Matrix(state, "token_embedding.weight");
        return new TextConfig
        {
            ContextLength = Matrix(state, "positional_embedding").Rows,
            VocabSize = vocabulary,
            Width = width,
            Heads = Heads(state, "transformer", width, assumptions),
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

    private static double MlpRatio(StateDict state, string tower, int width) => MlpRatios.Of(MlpWidth(state, tower, width), width);

    // Blocks with a memory have no MLP; where all have one, its width does not matter.
    private static int MlpWidth(StateDict state, string tower, int width) =>
        Enumerable.Range(0, Layers(state, tower)).Select(block => $"{tower}.resblocks.{block}.mlp.c_fc.weight").FirstOrDefault(state.Contains) is { } name
            ? Matrix(state, name).Rows
            : MemoryCheckpoint.IsIn(state) ? 4 * width : Matrix(state, $"{tower}.resblocks.0.mlp.c_fc.weight").Rows;

    private static double? Gain(StateDict state, string tower) => state.Contains($"{tower}.resblocks.0.ls_1.gamma") ? 1e-5 : null;

    private static int Heads(StateDict state, string tower, int width, ICollection<string>? assumptions)
    {
        var isVision = tower == "visual.transformer";
        var (kind, published) = isVision ? ("vision", PublishedModels.All.Vision) : ("text", PublishedModels.All.Text);
        var mlp = MlpWidth(state, tower, width);
        if (PublishedModels.HeadsOf(published, width, Layers(state, tower), mlp) is not { } known)
        {
            throw new UserException(
                $"{state.Source} does not tell how many heads the {width} channels of its {kind} tower have, and no published model does; give {(isVision ? "--heads or " : "")}--model-config.");
        }

        assumptions?.Add(
            $"The {kind} tower is taken to have {PublishedModels.Count(known.Heads)}, {known.Reason}; the weights do not tell ({(isVision ? "--heads or " : "")}--model-config does).");
        return known.Heads;
    }

    private static int Dividing(StateDict state, int heads, int width) =>
        width % heads == 0 ? heads : throw new UserException($"{state.Source}: {heads} heads do not divide its {width} channels; correct --heads.");

    private static UserException Unclear(StateDict state, string why) =>
        new($"{state.Source}: the architecture cannot be read from the weights, as {why}; put the model's JSON configuration beside them or name it (--model-config).");
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

        list.AddRange(config.Vision switch
        {
            { Stages: not null } vision => ModifiedResNet.Parameters(vision, config.EmbedDim),
            { Pooling: { } pooling } vision => [.. pooling.Entry.IsClip ? VisionParameters(vision, config.EmbedDim) : [], .. pooling.Entry.Parameters(vision, config.EmbedDim)],
            var vision => VisionParameters(vision, config.EmbedDim),
        });
        if (config.Text is { } tower)
        {
            list.AddRange(Blocks(prefix + "transformer", tower.Layers, tower.Width, tower.MlpWidth, tower.LayerScaleInit));
            list.AddRange(tower.Pooling?.Parameters(prefix, tower) ?? []);
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

    /// <summary>Whether a tensor is one that no gradient changes, by its name: a running statistic of a BatchNorm, or a table of a vocabulary.</summary>
    public static bool IsStatistic(string name) => BatchNorm.IsStatistic(name) || TextPooler.IsTable(name);

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
        .. vision.HasProjection ? new (string, long[])[] { ("visual.proj", [vision.Width, embedDim]) } : [],
        ("visual.conv1.weight", [vision.Width, 3, vision.PatchSize, vision.PatchSize]),
        .. vision.NoLnPre ? [] : Norm("visual.ln_pre", vision.Width),
        .. Blocks("visual.transformer", vision.Layers, vision.Width, vision.MlpWidth, vision.LayerScaleInit, vision.Memory),
        .. Norm("visual.ln_post", vision.Width),
    ];

    private static (string Name, long[] Shape)[] TextProjection(string prefix, TextConfig text, int embedDim) => text switch
    {
        { HasProjection: false } => [],
        { ProjBias: true } => [(prefix + "text_projection.weight", [embedDim, text.Width]), (prefix + "text_projection.bias", [embedDim])],
        _ => [(prefix + "text_projection", [text.Width, embedDim])],
    };

    private static IEnumerable<(string Name, long[] Shape)> Blocks(
        string tower, int layers, int width, int mlpWidth, double? gain, MemoryConfig? memory = null)
    {
        (string Name, long[] Shape)[] Gain(string name) => gain is null ? [] : [(name, [width])];
        (string Name, long[] Shape)[] Mlp(string name) =>
        [
            (name + "c_fc.weight", [mlpWidth, width]),
            (name + "c_fc.bias", [mlpWidth]),
            (name + "c_proj.weight", [width, mlpWidth]),
            (name + "c_proj.bias", [width]),
        ];
        return Enumerable.Range(0, layers).SelectMany<int, (string, long[])>(layer =>
        {
            var block = $"{tower}.resblocks.{layer}.";
            var slot = $"{block}mlp.";
            return
            [
                .. Norm(block + "ln_1", width),
                (block + "attn.in_proj_weight", [3 * width, width]),
                (block + "attn.in_proj_bias", [3 * width]),
                (block + "attn.out_proj.weight", [width, width]),
                (block + "attn.out_proj.bias", [width]),
                .. Gain(block + "ls_1.gamma"),
                .. Norm(block + "ln_2", width),
                .. memory?.Blocks.Contains(layer) is true
                    ? memory.Parameters(width, layer).Select(parameter => (slot + parameter.Name, parameter.Shape))
                    : Mlp(slot),
                .. Gain(block + "ls_2.gamma"),
            ];
        });
    }

    private static (string Name, long[] Shape)[] Norm(string name, int width) => [(name + ".weight", [width]), (name + ".bias", [width])];
}

/// <summary>
/// Chooses the activation of both towers. A configuration that names it is right. Where none does, some published weights need the quick
/// GELU although the configuration of their name means the exact one, and lose accuracy when they are run with it.
/// </summary>
public static class QuickGeluRule
{
    /// <summary>The configuration with the activation that the weights need.</summary>
    /// <param name="config">The configuration as its file, its name or the shapes give it.</param>
    /// <param name="origin">What the configuration's activation is worth.</param>
    /// <param name="weights">What is known of the weights.</param>
    /// <param name="literal">True to leave the activation alone, which reproduces the mismatch that upstream only warns of.</param>
    /// <param name="assumptions">Receives what was assumed or overruled, one sentence each; null for nobody.</param>
    public static ClipConfig Apply(
        ClipConfig config, ActivationOrigin origin, WeightOrigin weights, bool literal = false, ICollection<string>? assumptions = null)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(weights);
        var needed = weights.IsOpenAi ? true : PublishedModels.All.NeedsQuickGelu(config, weights.Tag, weights.File);
        if (literal || origin == ActivationOrigin.Said)
        {
            if (needed is { } other && other != config.QuickGelu)
            {
                assumptions?.Add($"The model runs {Name(config.QuickGelu)}, as {(literal ? "--literal-activation" : "the configuration")} says, although {weights} were trained with {Name(other)}.");
            }

            return config;
        }

        if (needed is { } quick)
        {
            if (weights.IsOpenAi || quick != config.QuickGelu)
            {
                assumptions?.Add($"The model runs {Name(quick)}, as {weights} were trained with it (--literal-activation or a configuration that names the activation overrules this).");
            }

            return config with { QuickGelu = quick };
        }

        if (origin == ActivationOrigin.Unknown)
        {
            assumptions?.Add(
                $"The model is taken to run {Name(config.QuickGelu)}, as nothing names the activation; OpenAI's weights, and what was fine-tuned from them, need the quick GELU (--pretrained openai, or a --model-config that says so).");
        }

        return config;
    }

    private static string Name(bool quick) => quick ? "the quick GELU" : "the exact GELU";
}

/// <summary>What the activation of a configuration is worth.</summary>
public enum ActivationOrigin
{
    /// <summary>There is no configuration; the shapes do not show the activation.</summary>
    Unknown,

    /// <summary>The configuration does not name it, which by OpenCLIP's rules means the exact GELU.</summary>
    Default,

    /// <summary>The configuration names it.</summary>
    Said,
}

/// <summary>What is known of weights beside their tensors.</summary>
/// <param name="Tag">Their tag in OpenCLIP's list, such as "openai"; null for none.</param>
/// <param name="File">The name of their file.</param>
/// <param name="IsOpenAi">Whether they have the form of OpenAI's originals: a TorchScript archive, or the integer buffers of one.</param>
public sealed record WeightOrigin(string? Tag, string? File, bool IsOpenAi = false)
{
    /// <summary>The integer buffer by which OpenAI's originals are known.</summary>
    internal const string OpenAiBuffer = "input_resolution";

    /// <inheritdoc />
    public override string ToString() =>
        IsOpenAi ? "OpenAI's archives" : PublishedModels.All.Activations.Any(row => row.File == File) || Tag is null or "local" ? $"the weights {File}" : $"the weights `{Tag}`";
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
