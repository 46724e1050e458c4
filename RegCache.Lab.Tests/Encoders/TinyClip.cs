using System.Text.RegularExpressions;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;
using TorchSharp;

namespace RegCache.Lab.Tests.Encoders;

/// <summary>The tiny CLIP of the goldens.</summary>
internal static partial class TinyClip
{
    /// <summary>Its configuration, with the activation of all goldens that do not name another one.</summary>
    public static ClipConfig Config => ClipConfigJson.Load(Goldens.Path("clip", "tiny_clip_config.json")) with
    {
        QuickGelu = new GoldenReadme("clip").IsQuickGelu(Variant()),
    };

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

    // The table's row on the gradients: "gelu variant: ...".
    [GeneratedRegex(@"tiny_clip_grads\.safetensors`?\s*\|\s*`?([A-Za-z_]+)`?\s+variant")]
    private static partial Regex Variant();
}
