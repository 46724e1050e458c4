namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>The named configurations of OpenCLIP with a plain vision transformer or a ResNet. Every name also exists with the suffix "-quickgelu".</summary>
public static class ClipConfigs
{
    private const string QuickSuffix = "-quickgelu";

    private static readonly OrderedDictionary<string, ClipConfig> Table = new()
    {
        ["ViT-S-32"] = Make(384, patch: 32, width: 384, textWidth: 384),
        ["ViT-S-16"] = Make(384, patch: 16, width: 384, textWidth: 384),
        ["ViT-M-32"] = Make(512, patch: 32, width: 512, textWidth: 512),
        ["ViT-M-16"] = Make(512, patch: 16, width: 512, textWidth: 512),
        ["ViT-B-32"] = Make(512, patch: 32, width: 768, textWidth: 512),
        ["ViT-B-16"] = Make(512, patch: 16, width: 768, textWidth: 512),
        ["ViT-B-16-plus"] = Make(640, patch: 16, width: 896, textWidth: 640),
        ["ViT-B-16-plus-240"] = Make(640, patch: 16, width: 896, textWidth: 640, image: 240),
        ["ViT-L-14"] = Make(768, patch: 14, width: 1024, textWidth: 768, layers: 24),
        ["ViT-L-14-336"] = Make(768, patch: 14, width: 1024, textWidth: 768, layers: 24, image: 336),
        ["ViT-H-14"] = Make(1024, patch: 14, width: 1280, textWidth: 1024, layers: 32, headWidth: 80, textLayers: 24),
        ["ViT-H-14-378"] = Make(1024, patch: 14, width: 1280, textWidth: 1024, layers: 32, headWidth: 80, textLayers: 24, image: 378),
        ["ViT-g-14"] = Make(1024, patch: 14, width: 1408, textWidth: 1024, layers: 40, headWidth: 88, textLayers: 24, ratio: 4.3637),
        ["ViT-bigG-14"] = Make(1280, patch: 14, width: 1664, textWidth: 1280, layers: 48, headWidth: 104, textLayers: 32, ratio: 4.9231),
        ["RN50"] = MakeResNet(1024, [3, 4, 6, 3], width: 64, textWidth: 512, image: 224),
        ["RN101"] = MakeResNet(512, [3, 4, 23, 3], width: 64, textWidth: 512, image: 224),
        ["RN50x4"] = MakeResNet(640, [4, 6, 10, 6], width: 80, textWidth: 640, image: 288),
        ["RN50x16"] = MakeResNet(768, [6, 8, 18, 8], width: 96, textWidth: 768, image: 384),
        ["RN50x64"] = MakeResNet(1024, [3, 15, 36, 10], width: 128, textWidth: 1024, image: 448),
    };

    /// <summary>The configurations by their names without suffix.</summary>
    internal static IEnumerable<KeyValuePair<string, ClipConfig>> Plain => Table;

    /// <summary>All names.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Table.Keys.SelectMany(name => new[] { name, name + QuickSuffix })];

    /// <summary>The configuration of a name; "/" stands for "-", so that "ViT-B/32" works too.</summary>
    /// <exception cref="UserException">There is no such name.</exception>
    public static ClipConfig Get(string name) => Find(name) ?? throw new UserException(
        $"There is no model configuration called {name}; use one of {string.Join(", ", Table.Keys)}, each also with {QuickSuffix}, or a configuration file.");

    /// <summary>The configuration of a name, or null.</summary>
    public static ClipConfig? Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        var plain = name.Replace('/', '-');
        var quick = plain.EndsWith(QuickSuffix, StringComparison.Ordinal);
        return Table.TryGetValue(quick ? plain[..^QuickSuffix.Length] : plain, out var config) ? config with { QuickGelu = quick } : null;
    }

    private static ClipConfig Make(
        int embed, int patch, int width, int textWidth, int layers = 12, int image = 224, int headWidth = 64, int textLayers = 12, double ratio = 4) => new()
        {
            EmbedDim = embed,
            Vision = new VisionConfig { ImageSize = (image, image), PatchSize = patch, Width = width, Layers = layers, HeadWidth = headWidth, MlpRatio = ratio },
            Text = new TextConfig { Width = textWidth, Heads = textWidth / 64, Layers = textLayers },
        };

    private static ClipConfig MakeResNet(int embed, ValueList<int> stages, int width, int textWidth, int image) => new()
    {
        EmbedDim = embed,
        Vision = new VisionConfig { Stages = stages, Layers = 0, Width = width, ImageSize = (image, image) },
        Text = new TextConfig { Width = textWidth, Heads = textWidth / 64 },
    };
}

/// <summary>Checks that the numbers of a configuration fit together.</summary>
internal static class ClipConfigValidation
{
    /// <summary>The same configuration.</summary>
    /// <exception cref="UserException">Its numbers do not fit together.</exception>
    public static ClipConfig Validated(this ClipConfig config, string source)
    {
        var vision = config.Vision;
        if (vision.Stages is { } stages)
        {
            Validate(vision, stages, source);
        }

        Check(vision.Stages is not null || vision.Width % vision.HeadWidth == 0, source, $"the vision width {vision.Width} must be a multiple of the head width {vision.HeadWidth}");
        Check(vision.MlpWidth > 0, source, $"the vision MLP ratio {vision.MlpRatio} leaves no hidden channels");
        Check(
            vision.Grid is { Height: > 0, Width: > 0 },
            source,
            $"an image of {vision.ImageSize.Height} x {vision.ImageSize.Width} pixels has no whole patch of {vision.PatchSize} x {vision.PatchSize}");
        Check(vision.PatchDropout is >= 0 and < 1, source, $"the patch dropout {vision.PatchDropout} must be at least 0 and below 1");
        Check(vision.Epsilon > 0, source, $"the LayerNorm epsilon {vision.Epsilon} must be positive");
        Check(
            vision.PositionEmbedding == PositionEmbeddingKind.Learnable || vision.Grid.Height == vision.Grid.Width,
            source,
            "fixed position embeddings need a square image");
        vision.Memory?.Validated(vision, source);
        vision.Pooling?.Validated(vision, source);
        if (config.Text is { } text)
        {
            Check(text.Width % text.Heads == 0, source, $"the text width {text.Width} must be a multiple of the number of heads {text.Heads}");
            text.Pooling?.Validated(text, source);
            Check(text.MlpWidth > 0, source, $"the text MLP ratio {text.MlpRatio} leaves no hidden channels");
            Check(text.PadId < text.VocabSize, source, $"the pad id {text.PadId} is outside the vocabulary of {text.VocabSize}");
            Check(text.Epsilon > 0, source, $"the LayerNorm epsilon {text.Epsilon} must be positive");
            Check(
                text.HasProjection || text.Width == config.EmbedDim,
                source,
                $"a text tower of width {text.Width} without projection cannot give embeddings of {config.EmbedDim} channels");
        }

        return config;
    }

    private static void Validate(VisionConfig vision, ValueList<int> stages, string source)
    {
        var (height, width) = vision.ImageSize;
        Check(stages.Count == 4 && stages.All(blocks => blocks > 0), source, $"a ResNet has four stages of one block or more, not {stages}");
        Check(vision.Width % 2 == 0, source, $"the width of a ResNet's stem must be even, not {vision.Width}");
        Check(
            ModifiedResNet.ChannelsOf(vision) % vision.HeadWidth == 0,
            source,
            $"the {ModifiedResNet.ChannelsOf(vision)} channels of the ResNet's last map must be a multiple of the head width {vision.HeadWidth}");
        Check(
            height % ModifiedResNet.Stride == 0 && width % ModifiedResNet.Stride == 0,
            source,
            $"a ResNet halves its map five times, so an image of {height} x {width} pixels must be a multiple of {ModifiedResNet.Stride} along both axes");
        Check(vision.Memory is null && vision.PatchDropout == 0, source, "a ResNet has neither memory layers nor patches to drop");
    }

    private static void Check(bool holds, string source, string why)
    {
        if (!holds)
        {
            throw new UserException($"{source}: {why}.");
        }
    }
}
