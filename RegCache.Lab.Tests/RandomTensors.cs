using FsCheck;

namespace RegCache.Lab.Tests;

/// <summary>Draws tensors from generators of its own: the default one belongs to all tests, which run side by side.</summary>
internal sealed class RandomTensors(int seed)
{
    private ulong _next = (ulong)seed << 20;

    /// <summary>How properties are checked: over the same cases in every run. What fails once fails again.</summary>
    public static Config Properties { get; } = Config.QuickThrowOnFailure.WithReplay(1, 1);

    /// <summary>Normally distributed values.</summary>
    public Tensor Normal(params long[] shape) => Draw(generator => torch.randn(shape, generator: generator));

    /// <summary>Values between 0 and 1.</summary>
    public Tensor Uniform(params long[] shape) => Draw(generator => torch.rand(shape, generator: generator));

    private Tensor Draw(Func<torch.Generator, Tensor> draw)
    {
        using var generator = new torch.Generator(_next++);
        return draw(generator);
    }
}
