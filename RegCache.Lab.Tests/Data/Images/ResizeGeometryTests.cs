using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Tests.Data.Images;

public sealed class ResizeGeometryTests
{
    [Theory]
    [InlineData(64, 64, ResizeMode.Shortest, 40)]
    [InlineData(90, 61, ResizeMode.Shortest, 35)]
    [InlineData(61, 90, ResizeMode.Squash, 37)]
    public void ResizingBeyondTheInputIsResizingAndCuttingTheMiddleOut(int width, int height, ResizeMode mode, int to)
    {
        const int Side = 32;
        var pixels = new byte[width * height * 3];
        new Random(1).NextBytes(pixels);
        using var image = DecodedImage.FromPixels(width, height, PixelLayout.Rgb, pixels);
        var options = new PreprocessOptions(Side) { ResizeMode = mode, ResizeTo = (to, to), CropRounding = CropRounding.Down };
        var geometry = ResizeGeometry.For(options, image);
        var (wide, high) = mode == ResizeMode.Squash ? (to, to) : width > height ? (to * width / height, to) : (to, to * height / width);
        Assert.Equal((wide, high), (geometry.ResizedWidth, geometry.ResizedHeight));

        var whole = new byte[wide * high * 3];
        new ImagePreprocessor(new PreprocessOptions(high, wide) { ResizeMode = ResizeMode.Squash }).ToRgb(image, whole);
        var cut = new byte[Side * Side * 3];
        new ImagePreprocessor(options).ToRgb(image, cut);
        var (left, top) = ((wide - Side) / 2, (high - Side) / 2);
        for (var row = 0; row < Side; row++)
        {
            Assert.True(whole.AsSpan((((top + row) * wide) + left) * 3, Side * 3).SequenceEqual(cut.AsSpan(row * Side * 3, Side * 3)));
        }
    }

    [Fact]
    public void AnOddSurplusIsHalvedAsTheFileFormatSays()
    {
        using var image = DecodedImage.FromPixels(35, 35, PixelLayout.Rgb, new byte[35 * 35 * 3]);
        var torchvision = new PreprocessOptions(32) { ResizeTo = (35, 35) };

        Assert.Equal(2, ResizeGeometry.For(torchvision, image).Visible.Left);
        Assert.Equal(1, ResizeGeometry.For(torchvision with { CropRounding = CropRounding.Down }, image).Visible.Left);
    }
}
