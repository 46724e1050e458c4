using System.Text.Json;
using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>The `preprocess_cfg` of a published OpenCLIP model.</summary>
internal static class PreprocessJson
{
    /// <summary>How images become input of a model; OpenAI's values for what the file does not say.</summary>
    /// <param name="json">The configuration file's object, or null.</param>
    /// <param name="source">Where it comes from, for messages.</param>
    /// <param name="size">Input size of the model.</param>
    public static PreprocessOptions Read(JsonElement? json, string source, (int Height, int Width) size)
    {
        var defaults = new PreprocessOptions(size.Height, size.Width);
        if (json is not { ValueKind: JsonValueKind.Object } || new JsonFields(json.Value, source).Object("preprocess_cfg") is not { } fields)
        {
            return defaults;
        }

        return defaults with
        {
            Mean = Rgb(fields, "mean", defaults.Mean),
            StandardDeviation = Rgb(fields, "std", defaults.StandardDeviation),
            Interpolation = fields.Choice(
                "interpolation", defaults.Interpolation, ("bicubic", Interpolation.Bicubic), ("bilinear", Interpolation.Bilinear)),
            ResizeMode = fields.Choice(
                "resize_mode",
                defaults.ResizeMode,
                ("shortest", ResizeMode.Shortest),
                ("longest", ResizeMode.Longest),
                ("squash", ResizeMode.Squash)),
        };
    }

    private static RgbValues Rgb(JsonFields fields, string name, RgbValues otherwise) => fields.Numbers(name) switch
    {
        null => otherwise,
        [var red, var green, var blue] => new((float)red, (float)green, (float)blue),
        _ => throw fields.Wrong(name, "must have three numbers, one a channel"),
    };
}
