namespace RegCache.Lab.Training.Augmentation;

/// <summary>Random numbers of other distributions than the uniform one.</summary>
internal static class RandomDraws
{
    /// <summary>A standard normal number (Box and Muller 1958).</summary>
    public static double NextNormal(this ref CounterRandom random)
    {
        var radius = Math.Sqrt(-2 * Math.Log(1 - random.NextUnit()));
        return radius * Math.Cos(2 * Math.PI * random.NextUnit());
    }

    /// <summary>Fills with standard normal numbers.</summary>
    public static void FillStandardNormal(this ref CounterRandom random, Span<float> target)
    {
        for (var index = 0; index < target.Length; index += 2)
        {
            var radius = MathF.Sqrt(-2 * MathF.Log((float)(1 - random.NextUnit())));
            var (sine, cosine) = MathF.SinCos((float)(2 * Math.PI * random.NextUnit()));
            target[index] = radius * cosine;
            if (index + 1 < target.Length)
            {
                target[index + 1] = radius * sine;
            }
        }
    }

    /// <summary>A number of the Beta distribution, from two of the Gamma distribution.</summary>
    /// <param name="random">Where the draws come from.</param>
    /// <param name="a">First parameter, above 0.</param>
    /// <param name="b">Second parameter, above 0.</param>
    public static double NextBeta(this ref CounterRandom random, double a, double b)
    {
        var (first, second) = (NextGamma(ref random, a), NextGamma(ref random, b));

        // Tiny parameters may give two numbers that are both too small for a double: the distribution then has its mass at the ends.
        return first + second > 0 ? first / (first + second) : random.NextBool(a / (a + b)) ? 1 : 0;
    }

    /// <summary>A number of the Gamma distribution of scale 1 (Marsaglia and Tsang 2000).</summary>
    private static double NextGamma(ref CounterRandom random, double shape)
    {
        if (shape < 1)
        {
            return NextGamma(ref random, shape + 1) * Math.Pow(1 - random.NextUnit(), 1 / shape);
        }

        var d = shape - (1.0 / 3);
        while (true)
        {
            var normal = random.NextNormal();
            var root = 1 + (normal / Math.Sqrt(9 * d));
            var cube = root * root * root;
            if (root > 0 && Math.Log(1 - random.NextUnit()) < (normal * normal / 2) + d - (d * cube) + (d * Math.Log(cube)))
            {
                return d * cube;
            }
        }
    }
}
