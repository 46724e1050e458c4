using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;
using TorchSharp;

namespace RegCache.Lab.Tests.Encoders;

/// <summary>The tiny CLIP of the goldens.</summary>
internal static class TinyClip
{
    public static ClipConfig Config => ClipConfigJson.Load(Goldens.Path("clip", "tiny_clip_config.json"));

    public static ClipModel Load(Func<ClipConfig, ClipConfig>? change = null, IBackend? backend = null)
    {
        var config = change?.Invoke(Config) ?? Config;
        using var file = WeightFile.Open(Goldens.Path("clip", "tiny_clip.safetensors"));
        return new(config, StateDictLoader.Fit(StateDictLoader.Load(file), config).ToWeightTable(), backend);
    }

    /// <summary>Tokenizes with the golden's truncated vocabulary.</summary>
    public static Func<IReadOnlyList<string>, torch.Tensor> Tokenizer()
    {
        var context = Config.Text!.ContextLength;
        var tokenizer = ClipTokenizer.Load(
            Goldens.ExternalPath("clip", "bpe_tiny.txt.gz")!, new() { ContextLength = context, FixText = false });
        return texts => torch.tensor(tokenizer.EncodeBatch(texts), [texts.Count, context]);
    }
}
