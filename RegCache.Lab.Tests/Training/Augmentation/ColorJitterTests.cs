using RegCache.Lab.Training.Augmentation;

namespace RegCache.Lab.Tests.Training.Augmentation;

/// <summary>The expected bytes come from Pillow 9.4: ImageEnhance, and a hue shifted in its HSV mode.</summary>
public sealed class ColorJitterTests
{
    private static readonly byte[] _image = [130, 183, 14, 238, 127, 26, 80, 57, 190, 240, 126, 194, 52, 127, 6, 110, 208, 143, 7, 7, 7, 250, 4, 4];

    private delegate void Change(Span<byte> rgb);

    [Fact]
    public void Brightness() => AssertChanged(
        [178, 250, 19, 255, 173, 35, 109, 78, 255, 255, 172, 255, 71, 173, 8, 150, 255, 195, 9, 9, 9, 255, 5, 5],
        rgb => PixelOperations.Brightness(rgb, 1.37));

    [Fact]
    public void Contrast() => AssertChanged(
        [122, 154, 51, 188, 120, 59, 92, 78, 159, 189, 120, 161, 75, 120, 46, 110, 170, 130, 47, 47, 47, 195, 45, 45],
        rgb => PixelOperations.Contrast(rgb, 0.61));

    [Fact]
    public void Saturation() => AssertChanged(
        [121, 198, 0, 255, 117, 0, 80, 47, 239, 255, 107, 205, 34, 143, 0, 82, 224, 130, 7, 7, 7, 255, 0, 0],
        rgb => PixelOperations.Saturation(rgb, 1.45));

    [Fact]
    public void HueForwards() => AssertChanged(
        [14, 183, 26, 186, 238, 26, 182, 57, 190, 240, 142, 126, 6, 127, 52, 110, 198, 208, 7, 7, 7, 250, 195, 5],
        rgb => ColorJitter.TurnHue(rgb, 0.13));

    [Fact]
    public void HueBackwards() => AssertChanged(
        [183, 14, 106, 161, 26, 238, 57, 190, 98, 126, 180, 240, 127, 6, 35, 208, 156, 110, 7, 7, 7, 45, 5, 250],
        rgb => ColorJitter.TurnHue(rgb, -0.31));

    [Fact]
    public void Grey() => AssertChanged(
        [148, 148, 148, 149, 149, 149, 79, 79, 79, 168, 168, 168, 91, 91, 91, 171, 171, 171, 7, 7, 7, 78, 78, 78],
        PixelOperations.Grey);

    [Fact]
    public void NoJitterChangesNothing()
    {
        var copy = _image.ToArray();
        var random = CounterRandom.Of(1, 2, 3);
        new ColorJitter(0, 0, 0, 0).Apply(copy, ref random);
        Assert.Equal(_image, copy);
    }

    private static void AssertChanged(byte[] expected, Change change)
    {
        var copy = _image.ToArray();
        change(copy);
        Assert.Equal(expected, copy);
    }
}
