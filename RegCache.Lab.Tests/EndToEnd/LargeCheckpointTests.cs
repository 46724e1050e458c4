using RegCache.Lab.Benchmarks;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Tests.Encoders.Checkpoints;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Tests.EndToEnd;

/// <summary>
/// A checkpoint of ViT-B/16 size with random weights, as OpenCLIP and as HuggingFace publish them, and JPEGs of many sizes:
/// everything a user of a real model does, except that the predictions mean nothing.
/// </summary>
public sealed class LargeCheckpointTests : IDisposable
{
    private const int Classes = 4;
    private const int SearchImages = 8;
    private const int ValidationImages = 64;
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [ExternalFact("data", "bpe_simple_vocab_16e6.txt.gz")]
    [Trait("Category", "Slow")]
    public void OpenClipAndHuggingFaceFormsGiveTheSameAccuracyAndThePipelineRuns()
    {
        WriteModels();
        WriteJpegs(_folder["search"], SearchImages);
        WriteJpegs(_folder["val"], ValidationImages);

        var info = Regcache("model", "info", _folder["openclip"]);
        Assert.Contains("149,620,737", info, StringComparison.Ordinal);
        Assert.Contains("12 blocks, width 768, 12 heads, patch 16, image 224x224, 197 tokens", info, StringComparison.Ordinal);

        var openClip = Evaluate("openclip");
        Assert.Contains($"of {ValidationImages} images", openClip, StringComparison.Ordinal);
        Assert.Equal(openClip, Evaluate("huggingface"));

        var report = Regcache(
            "pipeline", "--model", _folder["openclip"], "--classifier", _folder["evaluation-openclip", "classifier.safetensors"],
            "--train-sample", _folder["search"], "--imagenet-val", _folder["val"], "--batch", "8", "--max-prefix", "1", "--max-delete", "1",
            "--block-search", "two-step", "--run-dir", _folder["pipeline"]);
        Assert.Contains("final result CSV", report, StringComparison.Ordinal);
    }

    private string Evaluate(string form) => Regcache(
        "eval", "classification", "--model", _folder[form], "--imagenet-val", _folder["val"], "--batch", "16",
        "--run-dir", _folder[$"evaluation-{form}"]).Split('\n').Single(line => line.StartsWith("top-1", StringComparison.Ordinal));

    private static string Regcache(params string[] arguments)
    {
        var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, arguments);
        Assert.True(code == 0, $"{string.Join(' ', arguments)}: {error}");
        return output;
    }

    private void WriteModels()
    {
        var config = ClipConfigs.Get("ViT-B-16");
        using var weights = ClipInitialization.Draw(config, seed: 7);
        var state = new StateDict("random", weights.Names.Select(name => WeightEntry.FromValues<float>(
            name, weights[name].data<float>().ToArray(), weights[name].shape)));
        Directory.CreateDirectory(_folder["openclip"]);
        SafetensorsWriter.Write(_folder["openclip", "open_clip_model.safetensors"], state.Tensors);
        File.WriteAllText(_folder["openclip", "open_clip_config.json"], $"{{\"model_cfg\": {ClipConfigJson.ToJson(config)}}}");

        Directory.CreateDirectory(_folder["huggingface"]);
        SafetensorsWriter.Write(_folder["huggingface", "model.safetensors"], HuggingFaceState.FromOpenClip(state));
        File.WriteAllText(_folder["huggingface", "config.json"], """
            {"projection_dim": 512, "logit_scale_init_value": 2.6592,
             "vision_config": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "image_size": 224, "patch_size": 16, "hidden_act": "gelu"},
             "text_config": {"hidden_size": 512, "num_hidden_layers": 12, "num_attention_heads": 8, "intermediate_size": 2048, "max_position_embeddings": 77, "vocab_size": 49408, "hidden_act": "gelu"}}
            """);
        foreach (var form in new[] { "openclip", "huggingface" })
        {
            File.Copy(Goldens.ExternalPath("data", "bpe_simple_vocab_16e6.txt.gz")!, _folder[form, "bpe_simple_vocab_16e6.txt.gz"]);
        }
    }

    private static void WriteJpegs(string folder, int count)
    {
        for (var index = 0; index < count; index++)
        {
            var target = Path.Combine(folder, $"class{index % Classes}");
            Directory.CreateDirectory(target);
            File.WriteAllBytes(
                Path.Combine(target, $"{index:000}.jpg"), PreprocessingPictures.Make(200 + (7 * index), 400 - (3 * index), index));
        }
    }
}
