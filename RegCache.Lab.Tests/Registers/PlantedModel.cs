using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Quantization;
using RegCache.Lab.Reports;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace RegCache.Lab.Tests.Registers;

/// <summary>
/// The model and images of the RegCache reference values as files: a seven-block CLIP-like tower in which
/// background patches become outlier tokens by construction, and small images, written as a model folder and PNG class
/// folders so that the pipeline reads them like anybody's data.
/// </summary>
/// <param name="Bits">The bit-widths that the reference values are for.</param>
/// <param name="PipelineArguments">What to give to the command `pipeline`, besides bit-widths and run directory.</param>
internal sealed record PlantedModel(QuantizationBits Bits, IReadOnlyList<string> PipelineArguments)
{
    /// <summary>Writes the files; those of an earlier run are replaced.</summary>
    /// <param name="folder">Where they go.</param>
    /// <param name="source">The folder of the reference values.</param>
    /// <exception cref="UserException">A file cannot be read or written.</exception>
    public static PlantedModel Write(string folder, string source)
    {
        var settings = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "config.json")))!;
        int Int(string name) => settings[name]!.GetValue<int>();
        var modelFolder = Path.Combine(folder, "planted");
        WriteModel(source, modelFolder, settings);
        using (var data = WeightFile.Open(Path.Combine(source, "data.safetensors")))
        {
            WriteImages(data, "search", Path.Combine(folder, "search"), Int("classes"));
            WriteImages(data, "val", Path.Combine(folder, "val"), Int("classes"));
        }

        return new(
            new(Int("w_bits"), Int("a_bits")),
        [
            "--model", modelFolder,
            "--pretrained", "planted",
            "--classifier", Path.Combine(modelFolder, "classifier.safetensors"),
            "--train-sample", Path.Combine(folder, "search"),
            "--imagenet-val", Path.Combine(folder, "val"),
            "--calib", Path.Combine(folder, "search"),
            "--image-order", "name",
            "--scope", settings["scope"]!.GetValue<string>(),
            "--batch", Int("batch").ToString(CultureInfo.InvariantCulture),
            "--topn", Int("topn").ToString(CultureInfo.InvariantCulture),
            "--max-prefix", Int("max_prefix").ToString(CultureInfo.InvariantCulture),
            "--max-delete", Int("max_delete").ToString(CultureInfo.InvariantCulture),
        ]);
    }

    private static void WriteModel(string source, string folder, JsonNode settings)
    {
        Directory.CreateDirectory(folder);
        using var file = WeightFile.Open(Path.Combine(source, "model.safetensors"));
        SafetensorsWriter.Write(
            Path.Combine(folder, "model.safetensors"), file.Tensors.Where(entry => entry.Name != "classifier"));
        var classifier = file.Tensors.Single(entry => entry.Name == "classifier");
        SafetensorsWriter.Write(Path.Combine(folder, "classifier.safetensors"), [classifier]);

        using var images = WeightFile.Open(Path.Combine(source, "data.safetensors"));
        var size = images["search_images"].Shape;
        int Int(string name) => settings[name]!.GetValue<int>();
        var config = new ClipConfig
        {
            EmbedDim = (int)classifier.Shape[0],
            QuickGelu = GoldenReadme.IsQuickGelu(settings["act"]!.GetValue<string>()),
            Vision = new()
            {
                Layers = Int("L"),
                Width = Int("d"),
                HeadWidth = Int("d") / Int("heads"),
                MlpRatio = (double)file["visual.transformer.resblocks.0.mlp.c_fc.weight"].Shape[0] / Int("d"),
                PatchSize = Int("patch"),
                ImageSize = ((int)size[^2], (int)size[^1]),
                Epsilon = settings["ln_eps"]!.GetValue<double>(),
            },
        };
        // The golden's input is (byte - offset) * scale.
        var (offset, scale) = (settings["pixel_offset"]!.GetValue<double>(), settings["pixel_scale"]!.GetValue<double>());
        double[] mean = [.. Enumerable.Repeat(offset / 255, 3)];
        double[] deviation = [.. Enumerable.Repeat(1 / (255 * scale), 3)];
        AtomicFile.WriteText(
            Path.Combine(folder, "open_clip_config.json"),
            JsonSerializer.Serialize(new
            {
                model_cfg = JsonNode.Parse(ClipConfigJson.ToJson(config)),
                preprocess_cfg = new { mean, std = deviation, interpolation = "bicubic", resize_mode = "shortest" },
            }));
    }

    private static void WriteImages(WeightFile data, string set, string folder, int classes)
    {
        var pixels = data.Tensors.Single(entry => entry.Name == $"{set}_images");
        var labels = data.Tensors.Single(entry => entry.Name == $"{set}_labels").ToArray<long>();
        // Every class has a folder, whether or not the set has images of it: a label is its folder's index.
        for (var label = 0; label < classes; label++)
        {
            Directory.CreateDirectory(Path.Combine(folder, $"class{label:00}"));
        }

        using var planes = pixels.ToTensor();
        using var interleaved = planes.permute(0, 2, 3, 1).contiguous();
        var (height, width) = ((int)planes.shape[2], (int)planes.shape[3]);
        var bytes = interleaved.bytes;
        for (var index = 0; index < labels.Length; index++)
        {
            var length = height * width * 3;
            using var picture = Image.LoadPixelData<Rgb24>(bytes.Slice(index * length, length), width, height);
            picture.SaveAsPng(Path.Combine(folder, $"class{labels[index]:00}", $"{index:000000}.png"));
        }
    }
}
