using RegCache.Lab.Data.Images;
using RegCache.Lab.Training.Augmentation;

namespace RegCache.Lab.Tests.Training.Augmentation;

public sealed class TrainingTransformTests
{
    private static readonly RandAugment _policy = RandAugment.Parse("rand-m9-mstd0.5-inc1");

    [Theory]
    [InlineData(32, false, false)]
    [InlineData(48, false, false)]
    [InlineData(48, true, false)]
    [InlineData(48, true, true)]
    [InlineData(48, false, true)]
    public void AStreamDecidesEverything(int side, bool three, bool simple)
    {
        using var image = RandomImage(61, 47);
        var transform = new TrainingTransform(new()
        {
            Side = side, RandAugment = three ? null : _policy, Erasing = new(), ThreeAugment = three, SimpleCrop = simple, Rotation = simple ? 15 : 0,
        });
        var (first, again, other) = (Run(transform, image, 5), Run(transform, image, 5), Run(transform, image, 6));
        Assert.Equal(3 * side * side, first.Length);
        Assert.Equal(first, again);
        Assert.NotEqual(first, other);
        Assert.All(first, value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void ASmallImageMovesByUpToFourPixelsAndGetsABlackBorder()
    {
        using var image = RandomImage(32, 32);
        var transform = new TrainingTransform(new() { Side = 32, ColorJitter = 0 });
        var (moved, places) = (0, new HashSet<(int, int, bool)>());
        for (var index = 0; index < 300; index++)
        {
            var picture = transform.NewPicture();
            var random = CounterRandom.Of(1, 2, index);
            transform.ApplyToPixels(image, picture, ref random);
            if (PlaceOf(image, picture) is { } place)
            {
                moved++;
                places.Add(place);
            }
        }

        Assert.Equal(300, moved);
        Assert.True(places.Count > 100, $"{places.Count} of 162 places");
    }

    [Fact]
    public void ATurnedImageShowsTheMeanColourInItsCorners()
    {
        using var image = OneColour(255, 255, 255);
        var transform = new TrainingTransform(new() { Side = 48, ColorJitter = 0, Rotation = 15 });
        var angles = Enumerable.Range(0, 20).Select(index => Pixels(transform, image, index)).ToArray();
        Assert.All(angles, pixels => Assert.Equal((255, 255, 255), pixels[(24 * 48) + 24]));
        Assert.Contains(angles, pixels => pixels[0] == (124, 116, 104));
    }

    [Fact]
    public void AChangedHueIsAsBrightAndAsPureAsBefore()
    {
        using var image = OneColour(255, 0, 0);
        var transform = new TrainingTransform(new() { Side = 48, ColorJitter = 0, HueJitter = 0.1 });
        var colours = Enumerable.Range(0, 20).Select(index => Pixels(transform, image, index)[0]).ToArray();
        Assert.All(colours, colour => Assert.Equal((255, true), (colour.Red, colour.Green == 0 || colour.Blue == 0)));
        Assert.True(colours.Distinct().Count() > 5);
        Assert.All(colours, colour => Assert.InRange(Math.Max(colour.Green, colour.Blue), 0, 255 * 0.62));
    }

    [Fact]
    public void ErasingFillsABoxWithNoiseAndLeavesTheRest()
    {
        var (planes, erased, area) = (new float[3 * 40 * 40], 0, 0.0);
        for (var index = 0; index < 400; index++)
        {
            Array.Fill(planes, 7);
            var random = CounterRandom.Of(3, 4, index);
            new RandomErasing(0.25).Apply(planes, 40, 40, ref random);
            var changed = planes.Count(value => value != 7) / (3.0 * 40 * 40);
            (erased, area) = (erased + (changed > 0 ? 1 : 0), area + changed);
            Assert.InRange(changed, 0, 0.4);
        }

        Assert.InRange(erased, 70, 130);
        Assert.InRange(area / erased, 0.1, 0.25);
    }

    [Theory]
    [InlineData(ErasingMode.Const, 1)]
    [InlineData(ErasingMode.Rand, 3)]
    public void ErasingWithOneColour(ErasingMode mode, int colours)
    {
        var planes = new float[3 * 30 * 30];
        Array.Fill(planes, 7);
        var random = CounterRandom.Of(3, 4, 5);
        new RandomErasing(1, mode).Apply(planes, 30, 30, ref random);
        Assert.Equal(colours, planes.Where(value => value != 7).Distinct().Count());
    }

    [Theory]
    [InlineData("rand-m9-mstd0.5-inc1", 9, 2, 0.5, 0.5)]
    [InlineData("rand-m7-n3-inc1", 7, 3, 0, 0.5)]
    [InlineData("rand-m4.5-mstd1-p0.8-inc1", 4.5, 2, 1, 0.8)]
    public void PoliciesAreRead(string policy, double magnitude, int operators, double deviation, double probability) =>
        Assert.Equal(new RandAugment(magnitude, operators, deviation, probability), RandAugment.Parse(policy));

    [Theory]
    [InlineData("augmix-m3")]
    [InlineData("rand-m11-inc1")]
    [InlineData("rand-m9-inc0")]
    [InlineData("rand-m9")]
    [InlineData("rand-m9-w0-inc1")]
    [InlineData("rand-m9-n0-inc1")]
    public void OtherPoliciesAreRefused(string policy) =>
        Assert.Contains(policy, Assert.Throws<UserException>(() => RandAugment.Parse(policy)).Message);

    [Theory]
    [InlineData(0.8)]
    [InlineData(1)]
    [InlineData(3)]
    public void BetaNumbersHaveTheMeanAndTheVarianceOfTheirDistribution(double alpha)
    {
        var random = CounterRandom.Of(1, 2, 3);
        var numbers = Enumerable.Range(0, 20_000).Select(_ => random.NextBeta(alpha, alpha)).ToArray();
        var mean = numbers.Average();
        Assert.Equal(0.5, mean, 0.01);
        Assert.Equal(1 / (4 * ((2 * alpha) + 1)), numbers.Average(number => (number - mean) * (number - mean)), 0.005);
    }

    [Fact]
    public void NormalNumbersAreStandard()
    {
        var random = CounterRandom.Of(1, 2, 3);
        var numbers = new float[20_001];
        random.FillStandardNormal(numbers);
        Assert.Equal(0, numbers.Average(), 0.02);
        Assert.Equal(1, numbers.Average(number => number * number), 0.03);
        Assert.Equal(3, numbers.Average(number => number * number * number * number), 0.2);
    }

    private static float[] Run(TrainingTransform transform, DecodedImage image, int index)
    {
        var planes = new float[transform.OutputLength];
        var random = CounterRandom.Of(7, 8, index);
        transform.Apply(image, transform.NewPicture(), ref random, planes);
        return planes;
    }

    private static (byte Red, byte Green, byte Blue)[] Pixels(TrainingTransform transform, DecodedImage image, int index)
    {
        var (picture, random) = (transform.NewPicture(), CounterRandom.Of(7, 8, index));
        transform.ApplyToPixels(image, picture, ref random);
        return [.. picture.Pixels.ToArray().Chunk(3).Select(pixel => (pixel[0], pixel[1], pixel[2]))];
    }

    private static DecodedImage OneColour(byte red, byte green, byte blue) =>
        DecodedImage.FromPixels(48, 48, PixelLayout.Rgb, [.. Enumerable.Repeat(new[] { red, green, blue }, 48 * 48).SelectMany(pixel => pixel)]);

    // Where a picture shows the image, and whether it is flipped; null where it does not show it.
    private static (int Top, int Left, bool IsFlipped)? PlaceOf(DecodedImage image, Picture picture)
    {
        foreach (var isFlipped in new[] { false, true })
        {
            for (var top = -4; top <= 4; top++)
            {
                for (var left = -4; left <= 4; left++)
                {
                    if (Shows(image, picture, top, left, isFlipped))
                    {
                        return (top, left, isFlipped);
                    }
                }
            }
        }

        return null;
    }

    private static bool Shows(DecodedImage image, Picture picture, int top, int left, bool isFlipped)
    {
        for (var row = 0; row < 32; row++)
        {
            for (var column = 0; column < 32; column++)
            {
                var (y, x) = (row + top, (isFlipped ? 31 - column : column) + left);
                var isInside = y is >= 0 and < 32 && x is >= 0 and < 32;
                for (var channel = 0; channel < 3; channel++)
                {
                    var expected = isInside ? image.Pixels[(((y * 32) + x) * 3) + channel] : 0;
                    if (picture.Pixels[(((row * 32) + column) * 3) + channel] != expected)
                    {
                        return false;
                    }
                }
            }
        }

        return true;
    }

    private static DecodedImage RandomImage(int width, int height)
    {
        var pixels = new byte[width * height * 3];
        new Random(11).NextBytes(pixels);
        return DecodedImage.FromPixels(width, height, PixelLayout.Rgb, pixels);
    }
}
