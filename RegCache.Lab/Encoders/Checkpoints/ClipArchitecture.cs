namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>Infers a configuration from the shapes of a checkpoint (clip.md, section 9.3).</summary>
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
