using RegCache.Lab.Encoders;

namespace RegCache.Lab.Memory;

/// <summary>How the tensors of memory layers are drawn.</summary>
public enum MemoryStart
{
    /// <summary>As the fork does: keys N(0, 0.02), values N(0, 1), linear layers as frameworks draw them.</summary>
    Fork,

    /// <summary>
    /// As the memory layers' authors do: keys uniform within K^-0.5, values N(0, V^-0.5), queries Xavier-uniform, the other matrices
    /// N(0, D^-0.5). The fork has this initialiser and never calls it.
    /// </summary>
    Proper,
}

/// <summary>Draws the tensors of memory layers (docs/methods/memory.md, "Initial values").</summary>
internal static class MemoryInitialization
{
    private const double ForkKeyDeviation = 0.02;

    /// <summary>Draws one tensor. All names of a shared table draw the same numbers.</summary>
    /// <param name="vision">The tower.</param>
    /// <param name="name">The tensor's full name.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="start">How it is drawn.</param>
    /// <param name="seed">The seed.</param>
    public static Tensor Draw(VisionConfig vision, string name, long[] shape, MemoryStart start, long seed)
    {
        var memory = vision.Memory!;
        var block = memory.Blocks.First(block => name.StartsWith(MemoryNames.Slot(block), StringComparison.Ordinal));
        var part = name[MemoryNames.Slot(block).Length..];
        var owner = memory.ShareValues && MemoryNames.IsTable(name) ? memory.Blocks[0] : block;
        var random = CounterRandom.Of(seed, purpose: 501, owner).Fork(MemoryNames.Place(part));
        var values = new float[shape.Aggregate(1L, (product, size) => product * size)];
        var (normal, uniform) = Spread(memory, start, vision.Width, part, shape);
        if (normal is { } deviation)
        {
            random.FillNormal(values, (float)deviation);
        }
        else
        {
            foreach (ref var value in values.AsSpan())
            {
                value = (float)random.Next(-uniform, uniform);
            }
        }

        return torch.tensor(values, shape);
    }

    // The deviation of a normal distribution, or else the bound of a uniform one.
    private static (double? Normal, double Uniform) Spread(MemoryConfig memory, MemoryStart start, int width, string part, long[] shape)
    {
        double Root(double channels) => Math.Pow(channels, -0.5);
        var values = memory.Values(width);
        var isProper = start == MemoryStart.Proper;
        return part switch
        {
            MemoryNames.Keys => isProper ? (null, Root(memory.KeyWidth)) : (ForkKeyDeviation, 0),
            MemoryNames.Values or MemoryNames.ExpertsIn or MemoryNames.ExpertsOut => (isProper ? Root(values) : 1, 0),
            $"{MemoryNames.Query}.weight" when isProper => (null, Math.Sqrt(6.0 / (shape[0] + shape[1]))),
            _ when isProper && part.EndsWith(".weight", StringComparison.Ordinal) => (Root(width), 0),

            // Frameworks' own for linear layers: within 1 / sqrt(fan-in), biases included.
            _ => (null, Root(part.StartsWith(MemoryNames.Projection, StringComparison.Ordinal) ? values : width)),
        };
    }
}
