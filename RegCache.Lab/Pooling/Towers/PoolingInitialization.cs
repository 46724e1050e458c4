using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Pooling.Towers;

/// <summary>Random weights of pooled towers, distributed as DRIP draws them (docs/methods/pooled-towers.md, "Initial weights").</summary>
internal static class PoolingInitialization
{
    private const float Deviation = 0.02f;

    /// <summary>Whether a tensor of a configuration is drawn here.</summary>
    public static bool IsOfPooling(ClipConfig config, string name) =>
        name.Contains("transformer.pooling.", StringComparison.Ordinal)
        || TowerPredictors.IsPredictor(name)
        || (config.Vision.Pooling is { Entry.IsClip: false } && name.StartsWith("visual.", StringComparison.Ordinal));

    /// <summary>Fills a tensor.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="name">The tensor's name.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="values">Receives the values.</param>
    /// <param name="random">Draws them.</param>
    public static void Fill(ClipConfig config, string name, long[] shape, Span<float> values, CounterRandom random)
    {
        if (IsNorm(name))
        {
            values.Fill(name.EndsWith(".weight", StringComparison.Ordinal) ? 1 : 0);
        }
        else if (name.EndsWith("_proj_layer.weight", StringComparison.Ordinal))
        {
            // Neighbours are compared as they are at first.
            values.Clear();
            for (var row = 0L; row < shape[0]; row++)
            {
                values[(int)((row * shape[1]) + row)] = 1;
            }
        }
        else if (Deviates(config, name) is { } deviation)
        {
            random.FillNormal(values, deviation);
        }
        else if (!IsZero(name))
        {
            var bound = name.EndsWith("in_proj_weight", StringComparison.Ordinal) ? Math.Sqrt(6.0 / (shape[0] + shape[1])) : 1 / Math.Sqrt(FanIn(config, name, shape));
            foreach (ref var value in values)
            {
                value = (float)random.Next(-bound, bound);
            }
        }
    }

    private static bool IsNorm(string name) =>
        name.Contains("norm", StringComparison.Ordinal) || name.Contains("down_ln.", StringComparison.Ordinal);

    private static bool IsZero(string name) =>
        TextPooler.IsTable(name)
        || name.EndsWith("attn.in_proj_bias", StringComparison.Ordinal)
        || name.EndsWith("attn.out_proj.bias", StringComparison.Ordinal)
        || name == "visual.pos_embed";

    private static float? Deviates(ClipConfig config, string name) => name switch
    {
        _ when name.EndsWith("null_group", StringComparison.Ordinal) => 1,
        "visual.cls_token" or "visual.r_w_bias" or "visual.r_r_bias" => Deviation,
        "visual.pos_embed" when config.Vision.ClassTokens > 0 => Deviation,
        _ => null,
    };

    // A bias is drawn as the weights that it belongs to.
    private static double FanIn(ClipConfig config, string name, long[] shape)
    {
        var weight = name.EndsWith(".bias", StringComparison.Ordinal)
            ? ClipParameters.Of(config).Single(parameter => parameter.Name == $"{name[..^".bias".Length]}.weight").Shape
            : shape;
        return weight[1..].Aggregate(1L, (product, size) => product * size);
    }
}
