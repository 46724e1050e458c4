using System.Text.Json.Nodes;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training.ShapesClip;

/// <summary>
/// The architecture and the initial weights of the demo model (docs/methods/shapes.md): OpenCLIP's two towers, tiny. The
/// text tower is causal and pools at the highest id, <c>&lt;eos&gt;</c>, so that OpenCLIP's own code runs the model.
/// </summary>
public static class ShapesClipArchitecture
{
    private const int ContextLength = 20;
    private const double InitLogitScale = 2.302585092994046;

    /// <summary>The tokenizer: one id a word of the captions.</summary>
    public static WordTokenizer Tokenizer { get; } = new(ShapesVocabulary.Words, ContextLength);

    /// <summary>The model's configuration.</summary>
    public static ClipConfig Config { get; } = new()
    {
        EmbedDim = 96,
        Vision = new()
        {
            Layers = 6, Width = 96, HeadWidth = 24, PatchSize = 8, ImageSize = (ShapesScene.Side, ShapesScene.Side),
        },
        Text = new()
        {
            Layers = 2, Width = 96, Heads = 4, ContextLength = ContextLength, VocabSize = Tokenizer.VocabSize,
        },
        InitLogitScale = InitLogitScale,
    };

    /// <summary>
    /// Initial weights: Gaussian, with 0.5 / sqrt(fan-in) for the vision layers that write to the residual stream,
    /// 0.8 / sqrt(fan-in) for the other vision layers and 0.7 / sqrt(fan-in) for the text tower; the patch positions begin as a
    /// strong two-dimensional sine table, without which the model learns no shapes.
    /// </summary>
    /// <param name="seed">Seed of the weights.</param>
    public static WeightTable Initialize(long seed) => new(
        $"initial weights of seed {seed}",
        ClipParameters.Of(Config).Select((parameter, index) => KeyValuePair.Create(
            parameter.Name, Initial(parameter.Name, parameter.Shape, CounterRandom.Of(seed, purpose: 100, index)))));

    private static Tensor Initial(string name, long[] shape, CounterRandom random)
    {
        if (name == "visual.positional_embedding")
        {
            return torch.tensor(SinePositions(), shape);
        }

        var values = new float[shape.Aggregate(1L, (product, size) => product * size)];
        if (name == "logit_scale")
        {
            values[0] = (float)InitLogitScale;
        }
        else if (name.Contains("ln_", StringComparison.Ordinal))
        {
            values.AsSpan().Fill(name.EndsWith("weight", StringComparison.Ordinal) ? 1 : 0);
        }
        else if (!name.EndsWith("bias", StringComparison.Ordinal))
        {
            random.FillNormal(values, (float)Deviation(name, shape));
        }

        return torch.tensor(values, shape);
    }

    private static double Deviation(string name, long[] shape) => name switch
    {
        "visual.class_embedding" or "positional_embedding" => 0.02,
        "token_embedding.weight" => 0.3,
        "visual.proj" => 0.8 / Math.Sqrt(shape[0]),
        "text_projection" => 0.7 / Math.Sqrt(shape[0]),
        _ => Gain(name) / Math.Sqrt(shape[1..].Aggregate(1L, (product, size) => product * size)),
    };

    private static double Gain(string name) =>
        !name.StartsWith("visual.", StringComparison.Ordinal) ? 0.7
        : name.Contains("out_proj", StringComparison.Ordinal) || name.Contains("c_proj", StringComparison.Ordinal) ? 0.5
        : 0.8;

    // Row 0 belongs to the class token; then one row a patch: sin y, cos y, sin x, cos x at 24 frequencies each.
    private static float[] SinePositions()
    {
        var (grid, width) = (Config.Vision.Grid, Config.Vision.Width);
        var frequencies = width / 4;
        var table = new float[(Config.Vision.Patches + 1) * width];
        for (var patch = 0; patch < Config.Vision.Patches; patch++)
        {
            var (y, x) = Math.DivRem(patch, grid.Width);
            var row = table.AsSpan((patch + 1) * width, width);
            for (var index = 0; index < frequencies; index++)
            {
                var frequency = 2 * Math.Pow(1.0 / 20, (double)index / frequencies);
                row[index] = (float)(0.5 * Math.Sin(y * frequency));
                row[frequencies + index] = (float)(0.5 * Math.Cos(y * frequency));
                row[(2 * frequencies) + index] = (float)(0.5 * Math.Sin(x * frequency));
                row[(3 * frequencies) + index] = (float)(0.5 * Math.Cos(x * frequency));
            }
        }

        return table;
    }
}

/// <summary>The demo model as a folder that loads like any published OpenCLIP model.</summary>
public static class ShapesClipModelFolder
{
    /// <summary>Writes weights in half precision, configuration, word list and prompts.</summary>
    /// <param name="model">The trained model.</param>
    /// <param name="folder">The folder; it is created.</param>
    /// <exception cref="UserException">A file cannot be written.</exception>
    public static void Save(ClipModel model, string folder)
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var entries = model.Weights.Names.Select(name =>
            WeightEntry.FromTensor(name, model.Weights[name].detach().to(torch.ScalarType.Float16)));
        SafetensorsWriter.Write(
            Path.Combine(folder, "open_clip_model.safetensors"), entries, new Dictionary<string, string> { ["format"] = "pt" });

        var config = new JsonObject
        {
            ["model_cfg"] = JsonNode.Parse(ClipConfigJson.ToJson(model.Config)),
            ["preprocess_cfg"] = new JsonObject
            {
                ["mean"] = new JsonArray(0.5, 0.5, 0.5),
                ["std"] = new JsonArray(0.5, 0.5, 0.5),
                ["interpolation"] = "bicubic",
                ["resize_mode"] = "shortest",
            },
        };
        AtomicFile.WriteText(Path.Combine(folder, "open_clip_config.json"), config.ToJsonString(ReportJson.Options) + "\n");
        ShapesClipArchitecture.Tokenizer.Save(Path.Combine(folder, WordTokenizer.FileName));
        var prompts = new JsonObject
        {
            ["classnames"] = new JsonArray([.. ShapesVocabulary.Classes.Select(name => JsonValue.Create(name))]),
            ["templates"] = new JsonArray([.. ShapesVocabulary.Templates.Select(template => JsonValue.Create(template))]),
        };
        AtomicFile.WriteText(Path.Combine(folder, "prompts.json"), prompts.ToJsonString(ReportJson.Options) + "\n");
    }
}
