using System.Text.Json.Nodes;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training.ShapesClip;

/// <summary>The demo model as a folder that loads like any published OpenCLIP model.</summary>
public static class ShapesClipModelFolder
{
    private const string Shipped = "models/shapes-clip";

    /// <summary>The folder of the model that comes with the kit.</summary>
    /// <exception cref="UserException">It is not there.</exception>
    public static string Find() => KitFile.Find(Shipped)
        ?? throw new UserException($"The demo model ({Shipped}) is not here; work in the kit's own folder, or name it in {KitFile.RootVariable}.");

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
