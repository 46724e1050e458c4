using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Tests.Data.Images;

/// <summary>Where the pixels go: resizing, cutting and padding against the same done one after the other.</summary>
public sealed class ResizeGeometryTests
{
    [Theory]
    [InlineData(64, 64, ResizeMode.Shortest, 40, 40, 40, 40)]
    [InlineData(90, 64, ResizeMode.Shortest, 40, 40, 40, 56)]
    [InlineData(64, 91, ResizeMode.Shortest, 40, 40, 56, 40)]
    [InlineData(40, 40, ResizeMode.Shortest, 40, 40, 40, 40)]
    [InlineData(90, 61, ResizeMode.Shortest, 35, 35, 35, 51)]
    [InlineData(100, 80, ResizeMode.Shortest, 40, 60, 48, 60)]
    [InlineData(64, 91, ResizeMode.Shortest, 40, 60, 85, 60)]
    [InlineData(64, 91, ResizeMode.Squash, 40, 48, 40, 48)]
    [InlineData(61, 90, ResizeMode.Squash, 37, 37, 37, 37)]
    public void TheMiddleOfALargerImageIsCutOut(int width, int height, ResizeMode mode, int toHeight, int toWidth, int resizedHeight, int resizedWidth)
    {
        using var image = Noise(width, height);
        var options = new PreprocessOptions(32) { ResizeMode = mode, ResizeTo = (toHeight, toWidth), CropRounding = CropRounding.Down };
        var whole = Rgb(image, new PreprocessOptions(resizedHeight, resizedWidth) { ResizeMode = ResizeMode.Squash });
        Assert.Equal(Cut(whole, resizedWidth, (resizedWidth - 32) / 2, (resizedHeight - 32) / 2, 32), Rgb(image, options));
    }

    [Theory]
    [InlineData(CropRounding.HalfEven, 2)]
    [InlineData(CropRounding.Down, 1)]
    public void OddSurplusesAreCutAsEitherLibraryDoes(CropRounding rounding, int left)
    {
        using var image = Noise(35, 32);
        var options = new PreprocessOptions(32) { ResizeMode = ResizeMode.None, CropRounding = rounding };
        Assert.Equal(Cut(image.Pixels.ToArray(), 35, left, 0, 32), Rgb(image, options));
    }

    [Theory]
    [InlineData(CropRounding.HalfEven, 1)]
    [InlineData(CropRounding.Down, 2)]
    public void WhatIsMissingWithoutAResizeIsBlack(CropRounding rounding, int left)
    {
        using var image = Noise(9, 40);
        var rgb = Rgb(image, new PreprocessOptions(12) { ResizeMode = ResizeMode.None, CropRounding = rounding });
        for (var y = 0; y < 12; y++)
        {
            for (var x = 0; x < 12; x++)
            {
                var pixel = rgb.AsSpan(((y * 12) + x) * 3, 3).ToArray();
                Assert.Equal(
                    x < left || x >= left + 9 ? new byte[3] : image.Pixels.Slice((((y + 14) * 9) + x - left) * 3, 3).ToArray(), pixel);
            }
        }
    }

    [Fact]
    public void PixelsAreDividedByWhatIsAskedFor()
    {
        var planes = new float[12];
        new ImagePreprocessor(new PreprocessOptions(2) { Divisor = 1, Mean = RgbValues.All(0.5), StandardDeviation = RgbValues.All(0.25) })
            .Normalize([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255], planes);
        Assert.Equal([-2f, 10f, 22f, 34f, 2f, 14f, 26f, 38f, 6f, 18f, 30f, 1018f], planes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void ImpossibleDivisorsAreRefused(double divisor) =>
        Assert.Throws<UserException>(() => new ImagePreprocessor(new PreprocessOptions(2) { Divisor = divisor }));

    private static DecodedImage Noise(int width, int height)
    {
        var pixels = new byte[width * height * 3];
        new Random(width).NextBytes(pixels);
        return DecodedImage.FromPixels(width, height, PixelLayout.Rgb, pixels);
    }

    private static byte[] Rgb(DecodedImage image, PreprocessOptions options)
    {
        var preprocessor = new ImagePreprocessor(options);
        var rgb = new byte[preprocessor.OutputLength];
        preprocessor.ToRgb(image, rgb);
        return rgb;
    }

    private static byte[] Cut(byte[] rgb, int width, int left, int top, int side) =>
        [.. Enumerable.Range(top, side).SelectMany(y => rgb.AsSpan(((y * width) + left) * 3, side * 3).ToArray())];
}
