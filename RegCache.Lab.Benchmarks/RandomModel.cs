using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>Encoders with random weights.</summary>
internal static class RandomModel
{
    /// <summary>A vision tower of ViT-B/16 size.</summary>
    public static ClipModel VisionB16() => Create(ClipConfigs.Get("ViT-B-16") with { Text = null });

    public static ClipModel Create(ClipConfig config, IBackend? backend = null) => new(config, Weights(config), backend);

    public static WeightTable Weights(ClipConfig config)
    {
        torch.manual_seed(0);
        return new("random weights", ClipParameters.Of(config).Select(parameter => KeyValuePair.Create(
            parameter.Name, RandomTensor(parameter.Name, parameter.Shape))));
    }

    // Norms near one and rows of unit length keep activations finite through any depth.
    private static torch.Tensor RandomTensor(string name, long[] shape) => name switch
    {
        _ when name.Contains("ln_") && name.EndsWith(".weight", StringComparison.Ordinal) => torch.ones(shape),
        _ when shape.Length == 1 => torch.randn(shape).mul_(0.02),
        _ => torch.randn(shape).mul_(1 / Math.Sqrt(shape[^1])),
    };
}
