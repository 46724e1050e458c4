using System.Diagnostics;

namespace RegCache.Lab.Data.Shapes;

/// <summary>Draws scenes at random (docs/methods/shapes.md).</summary>
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
            ShapeTexture.Solid => default,
            _ => throw new UnreachableException(),
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
