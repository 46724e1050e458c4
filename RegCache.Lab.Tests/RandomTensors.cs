using FsCheck;

namespace RegCache.Lab.Tests;

/// <summary>Draws tensors from a generator of its own: the default one belongs to all tests, which run side by side.</summary>
internal sealed class RandomTensors(int seed)
{
    private readonly torch.Generator _generator = new((ulong)seed);

    /// <summary>How properties are checked: over the same cases in every run. What fails once fails again.</summary>
    public static Config Properties { get; } = Config.QuickThrowOnFailure.WithReplay(1, 1);

    /// <summary>Normally distributed values.</summary>
    public Tensor Normal(params long[] shape) => torch.randn(shape, generator: _generator);

    /// <summary>Values between 0 and 1.</summary>
    public Tensor Uniform(params long[] shape) => torch.rand(shape, generator: _generator);
}
