using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;
using SixLabors.ImageSharp.Processing;

namespace RegCache.Lab.Tests.Images;

/// <summary>What the kit does with pictures; on ImageSharp.</summary>
public sealed class PictureTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(37, 23)]
    [InlineData(300, 200)]
    public void Saved_pictures_load_with_the_same_pixels(int width, int height)
    {
        using var scratch = new ScratchFolder();
        using var picture = Random(width, height);
        picture.Save(scratch.Path("picture.png"));
        using var loaded = Image.Load<Rgba32>(scratch.Path("picture.png"));
        Assert.Equal(Bytes(picture), Bytes(loaded));

        using var opaque = Image.LoadPixelData<Rgb24>(Bytes(picture).AsSpan(0, width * height * 3), width, height);
        using var stream = new MemoryStream();
        opaque.SaveAsPng(stream);
        using var again = Image.Load<Rgb24>(stream.ToArray());
        Assert.Equal(Bytes(opaque), Bytes(again));
        stream.Position = 0;
        using var streamed = Image.Load<Rgb24>(stream);
        Assert.Equal(Bytes(opaque), Bytes(streamed));
    }

    [Fact]
    public void Saved_pictures_are_readable_by_the_pipeline()
    {
        using var picture = Random(20, 10);
        using var stream = new MemoryStream();
        picture.SaveAsPng(stream);
        using var decoded = RegCache.Lab.Data.Images.ImageDecoder.Decode(stream.ToArray(), "picture");
        Assert.Equal(Bytes(picture), decoded.Pixels);
    }

    [Theory]
    [InlineData("png-rgb-8.png")]
    [InlineData("png-rgba-8.png")]
    [InlineData("png-grey-8.png")]
    [InlineData("png-grey-alpha-8.png")]
    [InlineData("png-palette-8.png")]
    [InlineData("jpeg-420.jpg")]
    [InlineData("webp-lossy.webp")]
    public void Files_of_every_format_load_for_display(string file)
    {
        var path = Path.Combine(PillowCases.Folder, file);
        using var expected = RegCache.Lab.Data.Images.ImageDecoder.Load(path).ToRgb();
        using var picture = Image.Load<Rgb24>(path);
        Assert.Equal((expected.Width, expected.Height), (picture.Width, picture.Height));
        var difference = expected.Pixels.ToArray().Zip(Bytes(picture), (a, b) => Math.Abs(a - b)).Average();
        Assert.InRange(difference, 0, file.EndsWith("png", StringComparison.Ordinal) ? 0 : 2);
        var info = Image.Identify(File.ReadAllBytes(path));
        Assert.Equal(picture.Size(), info.Size());
    }

    [Fact]
    public void Broken_files_are_ImageFormatExceptions()
    {
        var png = File.ReadAllBytes(Path.Combine(PillowCases.Folder, "png-rgb-8.png"));
        Assert.ThrowsAny<ImageFormatException>(() => Image.Load<Rgb24>([1, 2, 3, 4]));
        Assert.ThrowsAny<ImageFormatException>(() => Image.Load<Rgb24>([0xFF, 0xD8, 0xFF, 0, 1]));
        Assert.ThrowsAny<ImageFormatException>(() => Image.Load<Rgb24>(png.AsSpan(0, 20)));
    }

    [Fact]
    public void Pixels_can_be_set_one_by_one_and_row_by_row()
    {
        using var picture = new Image<Rgb24>(4, 3, new Rgb24(1, 2, 3));
        picture[3, 2] = new Rgb24(9, 8, 7);
        picture.ProcessPixelRows(rows =>
        {
            Assert.Equal((4, 3), (rows.Width, rows.Height));
            rows.GetRowSpan(1)[0] = new Rgb24(5, 5, 5);
        });
        Assert.Equal(new Rgb24(5, 5, 5), picture[0, 1]);
        Assert.Equal(new Rgb24(9, 8, 7), picture[3, 2]);
        Assert.Equal(new Rgb24(1, 2, 3), picture[0, 0]);
        Assert.Throws<ArgumentOutOfRangeException>(() => picture[4, 0]);
    }

    [Fact]
    public void Crops_keep_their_pixels()
    {
        using var picture = Random(12, 9);
        using var cropped = picture.Clone(context => context.Crop(new Rectangle(3, 2, 5, 6)));
        Assert.Equal(new Size(5, 6), cropped.Size());
        Assert.Equal(picture[7, 7], cropped[4, 5]);
        Assert.Equal(new Size(12, 9), picture.Size());
    }

    [Fact]
    public void Nearest_enlargement_repeats_pixels()
    {
        using var picture = Random(5, 4);
        using var large = picture.Clone(context => context.Resize(20, 16, KnownResamplers.NearestNeighbor));
        for (var y = 0; y < 16; y++)
        {
            for (var x = 0; x < 20; x++)
            {
                Assert.Equal(picture[x / 4, y / 4], large[x, y]);
            }
        }
    }

    [Theory]
    [InlineData(31, 17)]
    [InlineData(3, 90)]
    public void Resizing_keeps_constant_pictures_constant(int width, int height)
    {
        using var picture = new Image<Rgba32>(20, 30, new Rgba32(10, 200, 77, 255));
        picture.Mutate(context => context.Resize(width, height));
        Assert.Equal(new Size(width, height), picture.Size());
        Assert.Equal(new Rgba32(10, 200, 77, 255), picture[width / 2, height / 2]);
        Assert.Equal(new Rgba32(10, 200, 77, 255), picture[0, 0]);
    }

    [Fact]
    public void Enlargements_follow_the_picture()
    {
        using var picture = new Image<Rgb24>(2, 1);
        picture[1, 0] = new Rgb24(200, 100, 50);
        picture.Mutate(context => context.Resize(40, 1));
        Assert.Equal(0, picture[2, 0].R);
        Assert.InRange(picture[20, 0].R, 90, 120);
        Assert.InRange(picture[37, 0].R, 195, 225);
    }

    private static Image<Rgba32> Random(int width, int height)
    {
        var bytes = new byte[width * height * 4];
        new Random(width).NextBytes(bytes);
        for (var i = 3; i < bytes.Length; i += 4)
        {
            bytes[i] = 255;
        }

        return Image.LoadPixelData<Rgba32>(bytes.AsSpan(), width, height);
    }

    private static byte[] Bytes<TPixel>(Image<TPixel> picture)
        where TPixel : unmanaged, IPixel<TPixel>
    {
        var bytes = new byte[picture.Width * picture.Height * System.Runtime.CompilerServices.Unsafe.SizeOf<TPixel>()];
        picture.CopyPixelDataTo(bytes);
        return bytes;
    }
}
