using System.Diagnostics;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Memory;
using RegCache.Lab.Pooling.Towers;

namespace RegCache.Lab.Training.Clip;

/// <summary>Random weights for a training from scratch, distributed as OpenCLIP draws them (docs/methods/clip.md, "Initial weights").</summary>
public static class ClipInitialization
{
    private const double TokenDeviation = 0.02;
    private const double PositionDeviation = 0.01;

    /// <summary>Draws the weights of a configuration.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="memory">How memory layers are drawn, where there are any.</param>
    public static WeightTable Draw(ClipConfig config, long seed, MemoryStart memory = MemoryStart.Fork) => new(
        $"random weights of seed {seed}",
        ClipParameters.Of(config).Select((parameter, index) => KeyValuePair.Create(
            parameter.Name,
            MemoryNames.IsMemory(parameter.Name)
                ? MemoryInitialization.Draw(config.Vision, parameter.Name, parameter.Shape, memory, seed)
                : parameter.Name.EndsWith(BatchNorm.Count, StringComparison.Ordinal) ? torch.zeros(parameter.Shape, torch.ScalarType.Int64)
                : Draw(config, parameter.Name, parameter.Shape, CounterRandom.Of(seed, purpose: 500, index)))));

    private static Tensor Draw(ClipConfig config, string name, long[] shape, CounterRandom random)
    {
        var values = new float[shape.Aggregate(1L, (product, size) => product * size)];
        if (PoolingInitialization.IsOfPooling(config, name))
        {
            PoolingInitialization.Fill(config, name, shape, values, random);
        }
        else if (Constant(config, name) is { } constant)
        {
            values.AsSpan().Fill((float)constant);
        }
        else if (name.StartsWith("visual.", StringComparison.Ordinal))
        {
            FillVision(config.Vision, name, shape, values, ref random);
        }
        else
        {
            random.FillNormal(values, (float)TextDeviation(config.Text!, name));
        }

        return torch.tensor(values, shape);
    }

    private static double? Constant(ClipConfig config, string name) => name switch
    {
        "logit_scale" => config.InitLogitScale,
        "logit_bias" => config.InitLogitBias,
        _ when name.EndsWith(".gamma", StringComparison.Ordinal) =>
            name.StartsWith("visual.", StringComparison.Ordinal) ? config.Vision.LayerScaleInit : config.Text!.LayerScaleInit,
        _ when BatchNorm.Has(name) => BatchNormConstant(name),
        _ when name.Contains("ln_", StringComparison.Ordinal) => name.EndsWith("weight", StringComparison.Ordinal) ? 1 : 0,
        _ when name.EndsWith("in_proj_bias", StringComparison.Ordinal) || name.EndsWith("out_proj.bias", StringComparison.Ordinal) => 0,
        _ => null,
    };

    // Blocks of a ResNet begin as the identity: their last gain is 0.
    private static double BatchNormConstant(string name) =>
        name.EndsWith("weight", StringComparison.Ordinal)
            ? (name.Contains(".layer", StringComparison.Ordinal) && name.EndsWith(".bn3.weight", StringComparison.Ordinal) ? 0 : 1)
            : name.EndsWith(BatchNorm.RunningVariance, StringComparison.Ordinal) ? 1 : 0;

    private static void FillVision(VisionConfig vision, string name, long[] shape, float[] values, ref CounterRandom random)
    {
        if (name is "visual.class_embedding" or "visual.positional_embedding" or "visual.proj")
        {
            random.FillNormal(values, (float)Math.Pow(vision.Width, -0.5));
            return;
        }

        if (name.StartsWith("visual.attnpool.", StringComparison.Ordinal) && !name.EndsWith("bias", StringComparison.Ordinal))
        {
            random.FillNormal(values, (float)Math.Pow(ModifiedResNet.ChannelsOf(vision), -0.5));
            return;
        }

        // Xavier for the fused projection; for the rest the frameworks' uniform with bound 1 / sqrt(fan-in), biases included.
        var bound = name.EndsWith("in_proj_weight", StringComparison.Ordinal)
            ? Math.Sqrt(6.0 / (shape[0] + shape[1]))
            : 1 / Math.Sqrt(FanIn(vision, name, shape));
        for (var index = 0; index < values.Length; index++)
        {
            values[index] = (float)random.Next(-bound, bound);
        }
    }

    private static double FanIn(VisionConfig vision, string name, long[] shape) => name switch
    {
        _ when name.StartsWith("visual.attnpool.", StringComparison.Ordinal) => ModifiedResNet.ChannelsOf(vision),
        _ when name.EndsWith("c_fc.bias", StringComparison.Ordinal) => vision.Width,
        _ when name.EndsWith("c_proj.bias", StringComparison.Ordinal) => vision.MlpWidth,
        _ => shape[1..].Aggregate(1L, (product, size) => product * size),
    };

    private static double TextDeviation(TextConfig text, string name)
    {
        var scale = Math.Pow(text.Width, -0.5);
        var residual = scale * Math.Pow(2.0 * text.Layers, -0.5);
        return name switch
        {
            _ when name.EndsWith("token_embedding.weight", StringComparison.Ordinal) => TokenDeviation,
            _ when name.EndsWith("positional_embedding", StringComparison.Ordinal) => PositionDeviation,
            _ when name.EndsWith("out_proj.weight", StringComparison.Ordinal) => residual,
            _ when name.EndsWith("c_proj.weight", StringComparison.Ordinal) => residual,
            _ when name.EndsWith("c_fc.weight", StringComparison.Ordinal) => Math.Pow(2.0 * text.Width, -0.5),
            _ when name.EndsWith("c_fc.bias", StringComparison.Ordinal) => 0,
            _ when name.EndsWith("c_proj.bias", StringComparison.Ordinal) => 0,
            _ when name.EndsWith("in_proj_weight", StringComparison.Ordinal) => scale,
            _ when name.Contains("text_projection", StringComparison.Ordinal) => scale,
            _ => throw new UnreachableException($"No rule draws the text tensor {name}."),
        };
    }
}
