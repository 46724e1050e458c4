namespace RegCache.Lab.Data.Shapes;

/// <summary>Draws scenes (demo-model.md, section 1).</summary>
internal static class ShapesSceneSampler
{
    private const double Side = ShapesScene.Side;
    private const double SingleProbability = 0.6;

    /// <summary>Draws the scene of image <paramref name="index"/> of a split.</summary>
    public static ShapesScene Draw(ref CounterRandom random, ShapesSplit split, int index)
    {
        var isClassified = split is ShapesSplit.Validation or ShapesSplit.Test;
        var background = DrawBackground(ref random);
        if (!isClassified && !random.NextBool(SingleProbability))
        {
            return DrawPair(ref random, background);
        }

        var label = isClassified
            ? index % ShapesVocabulary.Classes.Count
            : random.NextIndex(ShapesVocabulary.Classes.Count);
        var isLarge = random.NextBool(0.5);
        var radius = isLarge ? random.Next(15, 20) : random.Next(9, 12);
        var centerX = random.Next(radius + 1, Side - 1 - radius);
        var centerY = random.Next(radius + 1, Side - 1 - radius);
        return new(DrawObject(ref random, label, isLarge, radius, centerX, centerY), null, default, background);
    }

    private static ShapesScene DrawPair(ref CounterRandom random, ShapeBackground background)
    {
        // Two objects of one class could not be told apart by a caption that names colour and shape.
        var first = random.NextIndex(ShapesVocabulary.Classes.Count);
        var second = random.NextIndex(ShapesVocabulary.Classes.Count - 1);
        second += second >= first ? 1 : 0;
        var (firstIsLarge, secondIsLarge) = (random.NextBool(0.5), random.NextBool(0.5));
        var firstRadius = PairRadius(ref random, firstIsLarge);
        var secondRadius = PairRadius(ref random, secondIsLarge);
        var gap = random.Next(1, 6);
        var length = (2 * (firstRadius + secondRadius)) + gap;
        if (length > Side - 2)
        {
            var shrink = (Side - 3) / length;
            (firstRadius, secondRadius, gap, length) = (firstRadius * shrink, secondRadius * shrink, gap * shrink, Side - 3);
        }

        var relation = (ShapeRelation)random.NextIndex(4);
        var start = random.Next(1, Side - 1 - length);
        var larger = Math.Max(firstRadius, secondRadius);
        var across = random.Next(larger + 1, Side - 1 - larger);
        var firstLeads = relation is ShapeRelation.LeftOf or ShapeRelation.Above;
        var firstAlong = start + (firstLeads ? firstRadius : length - firstRadius);
        var secondAlong = start + (firstLeads ? length - secondRadius : secondRadius);
        var firstAcross = Jitter(ref random, across, firstRadius);
        var secondAcross = Jitter(ref random, across, secondRadius);
        var isHorizontal = relation is ShapeRelation.LeftOf or ShapeRelation.RightOf;
        return isHorizontal
            ? new(
                DrawObject(ref random, first, firstIsLarge, firstRadius, firstAlong, firstAcross),
                DrawObject(ref random, second, secondIsLarge, secondRadius, secondAlong, secondAcross),
                relation,
                background)
            : new(
                DrawObject(ref random, first, firstIsLarge, firstRadius, firstAcross, firstAlong),
                DrawObject(ref random, second, secondIsLarge, secondRadius, secondAcross, secondAlong),
                relation,
                background);
    }

    private static double PairRadius(ref CounterRandom random, bool isLarge) =>
        isLarge ? random.Next(12.5, 14.5) : random.Next(8, 10);

    private static double Jitter(ref CounterRandom random, double center, double radius) =>
        Math.Clamp(center + random.Next(-4, 4), radius + 1, Side - 1 - radius);

    private static ShapeObject DrawObject(
        ref CounterRandom random, int label, bool isLarge, double radius, double centerX, double centerY)
    {
        var (color, kind) = Math.DivRem(label, ShapesVocabulary.Shapes.Count);
        var named = ShapesVocabulary.Colors[color].Value;
        var drawn = new Rgb(
            (float)(named.Red + random.Next(-14, 14)),
            (float)(named.Green + random.Next(-14, 14)),
            (float)(named.Blue + random.Next(-14, 14)));
        var texture = random.NextUnit() switch
        {
            < 0.6 => ShapeTexture.Solid,
            < 0.8 => ShapeTexture.Striped,
            _ => ShapeTexture.Dotted,
        };
        var rotation = random.Next(-0.2, 0.2);
        var pattern = texture switch
        {
            ShapeTexture.Striped => new TexturePattern(random.Next(0, Math.PI), random.Next(4.5, 6.5), random.NextUnit(), 0),
            ShapeTexture.Dotted => Dots(ref random),
            _ => default,
        };
        return new((ShapeKind)kind, color, texture, isLarge, centerX, centerY, radius, rotation, drawn, pattern);
    }

    private static TexturePattern Dots(ref CounterRandom random)
    {
        var period = random.Next(4.5, 6);
        return new(0, period, random.Next(0, period), random.Next(0, period));
    }

    private static ShapeBackground DrawBackground(ref CounterRandom random)
    {
        var kind = (BackgroundKind)random.NextIndex(3);
        var first = DrawGrey(ref random);
        return kind == BackgroundKind.Gradient
            ? new(kind, first, DrawGrey(ref random), random.Next(0, 2 * Math.PI))
            : new(kind, first, first, 0);
    }

    private static Rgb DrawGrey(ref CounterRandom random)
    {
        var level = random.Next(25, 150);
        return new(Channel(ref random, level), Channel(ref random, level), Channel(ref random, level));
    }

    private static float Channel(ref CounterRandom random, double level) =>
        (float)Math.Clamp(level + random.Next(-18, 18), 0, 255);
}

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
