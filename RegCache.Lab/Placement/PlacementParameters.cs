using RegCache.Lab.Encoders;

namespace RegCache.Lab.Placement;

/// <summary>
/// Names and shapes of a classifier's parameters, as timm, DeiT and DynamicTokenLocViT call them; which of them decay, and how they are
/// drawn (docs/methods/late-tokens.md, "Weights").
/// </summary>
public static class PlacementParameters
{
    /// <summary>The names of the tokens and positions, which never decay whatever their shape.</summary>
    public const string ClassToken = "cls_token", Registers = "register_tokens", DistillationToken = "dist_token", Positions = "pos_embed";

    internal const string PatchWeight = "patch_embed.proj.weight";
    internal const string PatchBias = "patch_embed.proj.bias";

    private const float Deviation = 0.02f;
    private static readonly string[] _neverDecay = [ClassToken, Registers, DistillationToken, Positions];

    /// <summary>The parameters in the order of checkpoints. Without registers there is no table of them.</summary>
    public static IEnumerable<(string Name, long[] Shape)> Of(PlacementConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        long width = config.Width;
        return
        [
            (ClassToken, [1, 1, width]),
            .. config.IsDistilled ? [(DistillationToken, [1, 1, width])] : None,
            (Positions, [1, config.Patches + config.PositionedTokens, width]),
            .. config.Registers > 0 ? [(Registers, [1, config.Registers, width])] : None,
            (PatchWeight, [width, config.Channels, config.PatchSize.Height, config.PatchSize.Width]),
            (PatchBias, [width]),
            .. Enumerable.Range(0, config.Depth).SelectMany(block => OfBlock(config, $"blocks.{block}.")),
            .. Norm("norm", width),
            .. config.Classes > 0 ? Linear("head", config.Classes, width) : None,
            .. config.Classes > 0 && config.IsDistilled ? Linear("head_dist", config.Classes, width) : None,
        ];
    }

    /// <summary>Number of parameters.</summary>
    public static long Count(PlacementConfig config) => Of(config).Sum(parameter => Elements(parameter.Shape));

    /// <summary>Whether weight decay holds for a parameter: for matrices and the patch convolution, not for vectors, tokens and positions.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="dimensions">Its number of axes.</param>
    public static bool Decays(string name, long dimensions) => dimensions > 1 && !_neverDecay.Contains(name);

    /// <summary>
    /// Draws all parameters: tokens, positions and matrices normal with deviation 0.02, the patch convolution uniform within one over the
    /// root of its inputs, gains their start value, norms one and all other vectors zero.
    /// </summary>
    public static WeightTable Draw(PlacementConfig config, long seed) => new(
        $"random weights of seed {seed}",
        Of(config).Select((parameter, index) => KeyValuePair.Create(
            parameter.Name, Draw(config, parameter.Name, parameter.Shape, CounterRandom.Of(seed, purpose: 600, index)))));

    private static (string, long[])[] None => [];

    private static (string Name, long[] Shape)[] OfBlock(PlacementConfig config, string block)
    {
        long width = config.Width;
        string[] second = config.Branches == 2 ? ["1"] : [];
        (string, long[])[] Attention(string name) =>
        [
            ($"{name}.qkv.weight", [3 * width, width]),
            .. config.QkvBias ? [($"{name}.qkv.bias", [3 * width])] : None,
            .. Linear($"{name}.proj", width, width),
        ];
        (string, long[])[] Mlp(string name) => [.. Linear($"{name}.fc1", config.MlpWidth, width), .. Linear($"{name}.fc2", width, config.MlpWidth)];
        (string, long[])[] Gain(string name) => config.HasGains ? [(block + name, [width])] : None;
        return
        [
            .. Gain("gamma_1"),
            .. second.SelectMany(_ => Gain("gamma_1_1")),
            .. Gain("gamma_2"),
            .. second.SelectMany(_ => Gain("gamma_2_1")),
            .. Norm($"{block}norm1", width),
            .. second.SelectMany(_ => Norm($"{block}norm11", width)),
            .. Attention($"{block}attn"),
            .. second.SelectMany(_ => Attention($"{block}attn1")),
            .. Norm($"{block}norm2", width),
            .. second.SelectMany(_ => Norm($"{block}norm21", width)),
            .. Mlp($"{block}mlp"),
            .. second.SelectMany(_ => Mlp($"{block}mlp1")),
        ];
    }

    private static (string Name, long[] Shape)[] Norm(string name, long width) => [($"{name}.weight", [width]), ($"{name}.bias", [width])];

    private static (string Name, long[] Shape)[] Linear(string name, long outputs, long inputs) =>
        [($"{name}.weight", [outputs, inputs]), ($"{name}.bias", [outputs])];

    private static Tensor Draw(PlacementConfig config, string name, long[] shape, CounterRandom random)
    {
        var values = new float[Elements(shape)];
        if (name is PatchWeight or PatchBias)
        {
            var bound = 1 / Math.Sqrt((double)config.Channels * config.PatchSize.Height * config.PatchSize.Width);
            foreach (ref var value in values.AsSpan())
            {
                value = (float)random.Next(-bound, bound);
            }
        }
        else if (shape.Length > 1)
        {
            random.FillNormal(values, Deviation);
        }
        else
        {
            var isNorm = name.Contains("norm", StringComparison.Ordinal) && name.EndsWith(".weight", StringComparison.Ordinal);
            values.AsSpan().Fill(name.Contains(".gamma_", StringComparison.Ordinal) ? (float)config.InitScale : isNorm ? 1 : 0);
        }

        return torch.tensor(values, shape);
    }

    private static long Elements(long[] shape) => shape.Aggregate(1L, (product, size) => product * size);
}
