using System.Collections.Frozen;

namespace RegCache.Lab.Data.Shapes;

/// <summary>The names of the generated set: colours, shapes, classes and all words of its captions.</summary>
public static class ShapesVocabulary
{
    /// <summary>Name and value of the eight colours, in class order.</summary>
    public static IReadOnlyList<(string Name, Rgb Value)> Colors { get; } =
    [
        ("red", new(220, 40, 40)),
        ("orange", new(240, 140, 30)),
        ("yellow", new(235, 220, 50)),
        ("green", new(50, 170, 60)),
        ("cyan", new(60, 200, 210)),
        ("blue", new(50, 80, 210)),
        ("purple", new(140, 60, 180)),
        ("white", new(240, 240, 240)),
    ];

    /// <summary>Names of the six shapes, in the order of <see cref="ShapeKind"/>.</summary>
    public static IReadOnlyList<string> Shapes { get; } = ["circle", "square", "triangle", "star", "cross", "ring"];

    /// <summary>Names of the 48 classes, <c>red circle</c> to <c>white ring</c>.</summary>
    public static IReadOnlyList<string> Classes { get; } =
        [.. Colors.SelectMany(color => Shapes.Select(shape => $"{color.Name} {shape}"))];

    /// <summary>The five prompts of zero-shot classification; <c>{}</c> stands for a class.</summary>
    public static IReadOnlyList<string> Templates { get; } =
    [
        "a {}",
        "a large {}",
        "a small {}",
        "a {} on a plain background",
        "a {} in the center",
    ];

    /// <summary>Every word that a caption can hold, sorted.</summary>
    public static IReadOnlyList<string> Words { get; } =
    [
        .. Colors.Select(color => color.Name)
            .Concat(Shapes)
            .Concat(
            [
                "a", "small", "large", "striped", "dotted", "in", "the", "top", "bottom", "left", "right", "center", "on",
                "plain", "gradient", "noisy", "background", "of", "above", "below", "photo", "picture",
            ])
            .ToFrozenSet(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal),
    ];
}

/// <summary>
/// Writes captions: <c>a [size] colour [texture] shape</c> for one object, two of them joined by
/// their relation, then the optional position and background. Long ones describe the same in sentences.
/// </summary>
public static class ShapesCaption
{
    private const double SizeProbability = 0.7;
    private const double TextureProbability = 0.7;
    private const double PositionProbability = 0.5;
    private const double SingleBackgroundProbability = 0.5;
    private const double PairBackgroundProbability = 0.3;
    private static readonly string[] _relations = ["left of", "right of", "above", "below"];

    /// <summary>The caption that names everything.</summary>
    public static string Full(ShapesScene scene)
    {
        var everything = CounterRandom.Of(0, 0, 0);
        return Write(scene, ref everything, always: true);
    }

    /// <summary>A caption in which every optional part is left out at random.</summary>
    public static string Random(ShapesScene scene, ref CounterRandom random) => Write(scene, ref random, always: false);

    /// <summary>The name of an object's class with its article, for example "a red circle".</summary>
    public static string Short(ShapeObject shape) => $"a {ShapesVocabulary.Classes[shape.Class]}";

    /// <summary>
    /// Several sentences: what is to be seen, then size, texture and place of each object in turn, then the background. For example
    /// "a red circle above a blue ring. large striped, top left. small, bottom. noisy background." It has at most 18 words.
    /// </summary>
    public static string Long(ShapesScene scene)
    {
        ShapeObject[] objects = scene.Second is { } second ? [scene.First, second] : [scene.First];
        var first = string.Join($" {_relations[(int)scene.Relation]} ", objects.Select(Short));
        return $"{first}. {string.Concat(objects.Select(Details))}{Lower(scene.Background.Kind)} background.";
    }

    private static string Write(ShapesScene scene, ref CounterRandom random, bool always)
    {
        var caption = Phrase(scene.First, ref random, always);
        if (scene.Second is { } second)
        {
            caption += $" {_relations[(int)scene.Relation]} {Phrase(second, ref random, always)}";
        }
        else if (always || random.NextBool(PositionProbability))
        {
            caption += $" in the {Position(scene.First)}";
        }

        var background = scene.Second is null ? SingleBackgroundProbability : PairBackgroundProbability;
        return always || random.NextBool(background)
            ? $"{caption} on a {Lower(scene.Background.Kind)} background"
            : caption;
    }

    private static string Details(ShapeObject shape) =>
        $"{(shape.IsLarge ? "large" : "small")}{(shape.Texture == ShapeTexture.Solid ? "" : $" {Lower(shape.Texture)}")}, {Position(shape)}. ";

    private static string Phrase(ShapeObject shape, ref CounterRandom random, bool always)
    {
        var size = always || random.NextBool(SizeProbability) ? (shape.IsLarge ? "large " : "small ") : "";
        var isTextured = shape.Texture != ShapeTexture.Solid && (always || random.NextBool(TextureProbability));
        var texture = isTextured ? Lower(shape.Texture) + " " : "";
        return $"a {size}{ShapesVocabulary.Colors[shape.ColorIndex].Name} {texture}{ShapesVocabulary.Shapes[(int)shape.Kind]}";
    }

    private static string Position(ShapeObject shape)
    {
        var vertical = Third(shape.CenterY, "top", "bottom");
        var horizontal = Third(shape.CenterX, "left", "right");
        return (vertical, horizontal) switch
        {
            ("", "") => "center",
            (_, "") => vertical,
            ("", _) => horizontal,
            _ => $"{vertical} {horizontal}",
        };
    }

    private static string Third(double center, string low, string high) =>
        center < 0.4 * ShapesScene.Side ? low : center > 0.6 * ShapesScene.Side ? high : "";

    private static string Lower<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();
}
