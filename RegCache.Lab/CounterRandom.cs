namespace RegCache.Lab;

/// <summary>
/// Random numbers as a function of a key and a counter: number n of a stream needs none of the numbers before it, so any
/// thread can draw any part and every machine draws the same. The function is the finaliser of SplitMix64 over a Weyl
/// sequence. Nothing here calls the mathematics library, whose last bits differ between systems.
/// </summary>
public struct CounterRandom
{
    private const ulong Weyl = 0x9E3779B97F4A7C15;
    private readonly ulong _key;
    private ulong _counter;

    private CounterRandom(ulong key) => _key = key;

    /// <summary>The stream of a seed and of what it is for: a purpose, and an index within it.</summary>
    public static CounterRandom Of(long seed, long purpose, long index) =>
        new(Mix(Mix(Mix((ulong)seed + Weyl) ^ (ulong)purpose) + (Weyl * (ulong)index)));

    /// <summary>The next 64 random bits.</summary>
    public ulong NextBits() => Mix(_key + (Weyl * ++_counter));

    /// <summary>A number from 0 (inclusive) to 1 (exclusive).</summary>
    public double NextUnit() => (NextBits() >> 11) * (1.0 / (1L << 53));

    /// <summary>A number from <paramref name="low"/> (inclusive) to <paramref name="high"/> (exclusive).</summary>
    public double Next(double low, double high) => low + (NextUnit() * (high - low));

    /// <summary>An integer from 0 to <paramref name="count"/> - 1.</summary>
    public int NextIndex(int count) => (int)Math.BigMul(NextBits(), (ulong)count, out _);

    /// <summary>True with a probability.</summary>
    public bool NextBool(double probability) => NextUnit() < probability;

    /// <summary>A random order of the numbers 0 to <paramref name="count"/> - 1.</summary>
    public int[] NextPermutation(int count)
    {
        var order = new int[count];
        for (var index = 0; index < count; index++)
        {
            var other = NextIndex(index + 1);
            order[index] = order[other];
            order[other] = index;
        }

        return order;
    }

    /// <summary>A stream of its own that depends on this one's key alone.</summary>
    public readonly CounterRandom Fork(long purpose) => new(Mix(_key ^ Mix((ulong)purpose + Weyl)));

    /// <summary>
    /// Fills with nearly normal numbers of mean 0: the sum of four uniform ones, which is bounded by 3.46 deviations.
    /// </summary>
    /// <param name="target">Where to put them.</param>
    /// <param name="deviation">Their standard deviation.</param>
    public void FillNormal(Span<float> target, float deviation)
    {
        // Four 16-bit uniforms: mean 4 * 32767.5, variance 4 * (65536^2 - 1) / 12.
        const float unit = 1 / 37837.2265f;
        var scale = unit * deviation;
        var position = _key + (Weyl * _counter);
        for (var index = 0; index < target.Length; index++)
        {
            var bits = Mix(position += Weyl);
            var sum = (int)(bits & 0xFFFF) + (int)((bits >> 16) & 0xFFFF) + (int)((bits >> 32) & 0xFFFF) + (int)(bits >> 48);
            target[index] = (sum - 131070) * scale;
        }

        _counter += (ulong)target.Length;
    }

    private static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}
