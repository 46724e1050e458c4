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
