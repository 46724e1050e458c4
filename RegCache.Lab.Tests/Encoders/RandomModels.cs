using RegCache.Lab.Encoders;
using TorchSharp;

namespace RegCache.Lab.Tests.Encoders;

/// <summary>Models with random weights, of any architecture.</summary>
internal static class RandomModels
{
    public static readonly ClipConfig Tiny = new()
    {
        EmbedDim = 12,
        Vision = new() { Layers = 4, Width = 24, HeadWidth = 8, PatchSize = 8, ImageSize = (32, 24) },
        Text = new() { Layers = 2, Width = 16, Heads = 2, ContextLength = 10, VocabSize = 50 },
    };

    public static ClipModel Create(ClipConfig config, long seed = 0) => new(config, Weights(config, seed));

    /// <summary>Weights with the shapes that the configuration asks for, in the order of an OpenCLIP checkpoint.</summary>
    public static WeightTable Weights(ClipConfig config, long seed = 0)
    {
        // Its own generator: other tests draw from the default one at the same time.
        using var generator = new torch.Generator((ulong)seed);
        var tensors = new List<KeyValuePair<string, torch.Tensor>>();
        void Add(string name, double deviation, params long[] shape) =>
            tensors.Add(new(name, torch.randn(shape, generator: generator).mul_(deviation)));
        void AddNorm(string name, int width)
        {
            tensors.Add(new($"{name}.weight", torch.randn(width, generator: generator).mul_(0.1).add_(1)));
            Add($"{name}.bias", 0.1, width);
        }

        void AddBlock(string name, int width, int mlpWidth)
        {
            AddNorm($"{name}.ln_1", width);
            Add($"{name}.attn.in_proj_weight", Math.Pow(width, -0.5), 3 * width, width);
            Add($"{name}.attn.in_proj_bias", 0.1, 3 * width);
            Add($"{name}.attn.out_proj.weight", Math.Pow(width, -0.5), width, width);
            Add($"{name}.attn.out_proj.bias", 0.1, width);
            AddNorm($"{name}.ln_2", width);
            Add($"{name}.mlp.c_fc.weight", Math.Pow(width, -0.5), mlpWidth, width);
            Add($"{name}.mlp.c_fc.bias", 0.1, mlpWidth);
            Add($"{name}.mlp.c_proj.weight", Math.Pow(mlpWidth, -0.5), width, mlpWidth);
            Add($"{name}.mlp.c_proj.bias", 0.1, width);
        }

        if (config.Text is { } text)
        {
            Add("positional_embedding", 0.1, text.ContextLength, text.Width);
            Add("text_projection", Math.Pow(text.Width, -0.5), text.Width, config.EmbedDim);
            tensors.Add(new("logit_scale", torch.tensor((float)config.InitLogitScale)));
        }

        var vision = config.Vision;
        Add("visual.class_embedding", 0.5, vision.Width);
        Add("visual.positional_embedding", 0.5, vision.Patches + 1, vision.Width);
        Add("visual.proj", Math.Pow(vision.Width, -0.5), vision.Width, config.EmbedDim);
        Add("visual.conv1.weight", Math.Pow(3 * vision.PatchSize * vision.PatchSize, -0.5), vision.Width, 3, vision.PatchSize, vision.PatchSize);
        AddNorm("visual.ln_pre", vision.Width);
        for (var block = 0; block < vision.Layers; block++)
        {
            AddBlock($"visual.transformer.resblocks.{block}", vision.Width, vision.MlpWidth);
        }

        AddNorm("visual.ln_post", vision.Width);
        if (config.Text is { } tower)
        {
            for (var block = 0; block < tower.Layers; block++)
            {
                AddBlock($"transformer.resblocks.{block}", tower.Width, tower.MlpWidth);
            }

            Add("token_embedding.weight", 0.5, tower.VocabSize, tower.Width);
            AddNorm("ln_final", tower.Width);
        }

        // What a test draws next follows the seed, too.
        torch.set_rng_state(generator.get_state());
        return new("random weights", tensors);
    }
}
