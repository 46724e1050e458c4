using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Images.Decoding;

namespace RegCache.Lab.Tests.Images;

public sealed class FallbackDecoderTests
{
    [Theory]
    [InlineData("jpeg-444.jpg", PixelLayout.Rgb)]
    [InlineData("webp-lossless.webp", PixelLayout.Rgb)]
    [InlineData("webp-lossless-alpha.webp", PixelLayout.Rgba)]
    public void ImageSharp_decodes_to_nearly_the_same_pixels(string file, PixelLayout layout)
    {
        var content = File.ReadAllBytes(Path.Combine(PillowCases.Folder, file));
        using var expected = ImageDecoder.Decode(content, file);
        using var actual = new FallbackDecoder(TextWriter.Null).Decode(content, file, "the library");
        Assert.Equal(layout, actual.Layout);
        Assert.Equal((expected.Width, expected.Height, expected.Layout), (actual.Width, actual.Height, actual.Layout));
        var difference = expected.Pixels.ToArray().Zip(actual.Pixels.ToArray(), (a, b) => Math.Abs(a - b)).Average();
        Assert.InRange(difference, 0, 1);
    }

    [Fact]
    public void The_difference_is_said_once()
    {
        var content = File.ReadAllBytes(Path.Combine(PillowCases.Folder, "jpeg-444.jpg"));
        using var notices = new StringWriter();
        var decoder = new FallbackDecoder(notices);
        for (var i = 0; i < 3; i++)
        {
            decoder.Decode(content, "x", "libturbojpeg").Dispose();
        }

        Assert.Equal(1, notices.ToString().Split("pixels may differ").Length - 1);
    }

    [Fact]
    public void Bad_files_give_one_sentence() =>
        Assert.Contains(
            "bad.jpg",
            Assert.Throws<UserException>(() => new FallbackDecoder(TextWriter.Null).Decode([0xFF, 0xD8, 0xFF, 0, 1], "bad.jpg", "x")).Message,
            StringComparison.Ordinal);
}
