using System.Globalization;
using System.Text.RegularExpressions;

namespace RegCache.Lab.Training.Augmentation;

/// <summary>
/// RandAugment (Cubuk et al. 2020, arXiv:1909.13719) as timm has it: some operators drawn with replacement, each applied with a
/// probability, at a magnitude from 0 to 10 that is normally distributed about a given one.
/// </summary>
/// <param name="Magnitude">The magnitude m, 0 to 10.</param>
/// <param name="Operators">How many operators are drawn for an image.</param>
/// <param name="Deviation">Standard deviation of the magnitude.</param>
/// <param name="Probability">Probability with which a drawn operator is applied.</param>
public sealed partial record RandAugment(double Magnitude = 9, int Operators = 2, double Deviation = 0.5, double Probability = 0.5)
{
    private const double HighestMagnitude = 10;

    /// <summary>Reads a policy: <c>rand-m9-mstd0.5-inc1</c>, with <c>n</c> for the number of operators and <c>p</c> for the probability.</summary>
    /// <exception cref="UserException">It is none, or one whose operators do not grow with the magnitude (<c>inc0</c>).</exception>
    public static RandAugment Parse(string policy)
    {
        UserException Wrong(string why) => new($"The augmentation policy '{policy}' {why}: write it as rand-m9-mstd0.5-inc1 (m magnitude, mstd deviation, n operators, p probability).");
        var parts = policy.Split('-');
        if (parts[0] != "rand")
        {
            throw Wrong("is not one of RandAugment");
        }

        var (parsed, isIncreasing) = (new RandAugment(Deviation: 0), false);
        foreach (var part in parts.Skip(1))
        {
            if (Setting().Match(part) is not { Success: true } match
                || !double.TryParse(match.Groups[2].ValueSpan, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value))
            {
                throw Wrong($"has the unknown part '{part}'");
            }

            (parsed, isIncreasing) = match.Groups[1].Value switch
            {
                "m" when value <= HighestMagnitude => (parsed with { Magnitude = value }, isIncreasing),
                "m" => throw Wrong($"has a magnitude above {HighestMagnitude}"),
                "mstd" => (parsed with { Deviation = value }, isIncreasing),
                "n" when value is >= 1 and <= 100 && value == (int)value => (parsed with { Operators = (int)value }, isIncreasing),
                "n" => throw Wrong("has an impossible number of operators"),
                "p" when value <= 1 => (parsed with { Probability = value }, isIncreasing),
                "p" => throw Wrong("has a probability above 1"),
                _ => (parsed, value == 1),
            };
        }

        return isIncreasing ? parsed : throw Wrong("lacks inc1: the kit has the operators that grow with the magnitude");
    }

    /// <summary>Changes a picture.</summary>
    /// <param name="picture">The picture.</param>
    /// <param name="random">Where the draws come from.</param>
    public void Apply(Picture picture, ref CounterRandom random)
    {
        for (var draw = 0; draw < Operators; draw++)
        {
            var change = AugmentOperator.All[random.NextIndex(AugmentOperator.All.Count)];
            if (!random.NextBool(Probability))
            {
                continue;
            }

            var magnitude = Deviation > 0 ? Magnitude + (Deviation * random.NextNormal()) : Magnitude;
            var sign = random.NextBool(0.5) ? 1 : -1;
            change.Apply(picture, change.Argument(Math.Clamp(magnitude, 0, HighestMagnitude) / HighestMagnitude, sign));
        }
    }

    [GeneratedRegex("^(m|mstd|n|p|inc)([0-9.]+)$", RegexOptions.CultureInvariant)]
    private static partial Regex Setting();
}

/// <summary>One of RandAugment's operators, in Pillow's arithmetic.</summary>
/// <param name="Name">Its name in timm.</param>
/// <param name="Help">What it is, in one line.</param>
/// <param name="Argument">What it takes at a level from 0 to 1, with a sign of +1 or -1 where there are two directions.</param>
/// <param name="Apply">Changes a picture.</param>
public sealed record AugmentOperator(string Name, string Help, Func<double, int, double> Argument, Action<Picture, double> Apply) : IListed
{
    private const double LargestAngle = 30;
    private const double LargestShear = 0.3;
    private const double LargestShift = 0.45;

    /// <summary>The fifteen of the increasing policy.</summary>
    public static OpenList<AugmentOperator> All { get; } = new(
        "operator",
        new AugmentOperator("AutoContrast", "Stretches every channel to the whole range.", Nothing, (picture, _) => PixelOperations.AutoContrast(picture.Pixels)),
        new AugmentOperator("Equalize", "Makes the values of every channel about equally frequent.", Nothing, (picture, _) => PixelOperations.Equalize(picture.Pixels)),
        new AugmentOperator("Invert", "Turns every value into its complement.", Nothing, (picture, _) => PixelOperations.Invert(picture.Pixels)),
        new AugmentOperator("Rotate", "Turns by up to 30 degrees.", Signed(LargestAngle), (picture, degrees) =>
            AffineTransform.Rotate(degrees, picture.Width, picture.Height).Apply(picture)),
        new AugmentOperator("PosterizeIncreasing", "Keeps the highest 4 to 0 bits.", (level, _) => 4 - (int)(level * 4), (picture, bits) =>
            PixelOperations.Posterize(picture.Pixels, (int)bits)),
        new AugmentOperator("SolarizeIncreasing", "Inverts the values from a threshold on.", (level, _) => 256 - Math.Min(256, (int)(level * 256)), (picture, threshold) =>
            PixelOperations.Solarize(picture.Pixels, (int)threshold)),
        new AugmentOperator("SolarizeAdd", "Adds up to 110 to the dark values.", (level, _) => Math.Min(128, (int)(level * 110)), (picture, add) =>
            PixelOperations.SolarizeAdd(picture.Pixels, (int)add)),
        new AugmentOperator("ColorIncreasing", "Less or more colour.", Factor, (picture, factor) => PixelOperations.Saturation(picture.Pixels, factor)),
        new AugmentOperator("ContrastIncreasing", "Less or more contrast.", Factor, (picture, factor) => PixelOperations.Contrast(picture.Pixels, factor)),
        new AugmentOperator("BrightnessIncreasing", "Darker or brighter.", Factor, (picture, factor) => PixelOperations.Brightness(picture.Pixels, factor)),
        new AugmentOperator("SharpnessIncreasing", "Smoother or sharper.", Factor, PixelOperations.Sharpness),
        new AugmentOperator("ShearX", "Shears along the rows.", Signed(LargestShear), (picture, factor) => AffineTransform.ShearX(factor).Apply(picture)),
        new AugmentOperator("ShearY", "Shears along the columns.", Signed(LargestShear), (picture, factor) => AffineTransform.ShearY(factor).Apply(picture)),
        new AugmentOperator("TranslateXRel", "Shifts along the rows by up to 45 %.", Signed(LargestShift), (picture, share) =>
            AffineTransform.Translate(share * picture.Width, 0).Apply(picture)),
        new AugmentOperator("TranslateYRel", "Shifts along the columns by up to 45 %.", Signed(LargestShift), (picture, share) =>
            AffineTransform.Translate(0, share * picture.Height).Apply(picture)));

    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];

    private static double Nothing(double level, int sign) => 0;

    private static double Factor(double level, int sign) => Math.Max(0.1, 1 + (sign * (level * 0.9)));

    private static Func<double, int, double> Signed(double largest) => (level, sign) => sign * (level * largest);
}
