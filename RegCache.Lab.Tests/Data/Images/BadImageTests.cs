using System.Buffers.Binary;
using System.Reflection;
using System.Runtime.Loader;
using FsCheck;
using FsCheck.Fluent;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Images.Decoding;

namespace RegCache.Lab.Tests.Data.Images;

public sealed class BadImageTests
{
    public static TheoryData<string> Files => [.. PillowCases.Files];

    [Theory]
    [InlineData("jpeg-420.jpg")]
    [InlineData("jpeg-420-progressive.jpg")]
    [InlineData("png-rgb-8.png")]
    [InlineData("png-grey-16-interlaced.png")]
    [InlineData("gif-palette.gif")]
    [InlineData("bmp-rgb.bmp")]
    [InlineData("webp-lossy.webp")]
    [InlineData("webp-lossless-alpha.webp")]
    [InlineData("webp-animated.webp")]
    public void TruncatedFilesAreRefusedAtEveryLength(string file)
    {
        var whole = Content(file);
        // Like Pillow, the kit does without PNG's last check sums and end marker and the frames behind an animation's first.
        var needed = file.StartsWith("png", StringComparison.Ordinal) ? whole.Length - 22
            : file.Contains("animated", StringComparison.Ordinal) ? whole.Length / 3
            : whole.Length - 1;
        for (var length = 0; length < needed; length += Math.Max(1, needed / 97))
        {
            AssertRefused(whole[..length]);
        }
    }

    [Theory]
    [InlineData("jpeg-420.jpg")]
    [InlineData("jpeg-420-progressive.jpg")]
    [InlineData("jpeg-cmyk-adobe.jpg")]
    public void TruncatedJPEGFilesAreRefusedWhereLibjpegTurboIsMissing(string file)
    {
        var whole = Content(file);
        for (var length = 3; length < whole.Length - 1; length += Math.Max(1, whole.Length / 97))
        {
            Assert.Contains(
                "is truncated",
                Assert.Throws<UserException>(() => JpegDecoder.Decode(null, whole.AsSpan(0, length), "bad").Dispose()).Message,
                StringComparison.Ordinal);
        }
    }

    [Fact]
    public void ABadFileDoesNotHarmTheNextOne()
    {
        var good = Content("jpeg-420.jpg");
        using var expected = ImageDecoder.Decode(good, "good");
        for (var length = 3; length < good.Length - 1; length += 7)
        {
            AssertRefused(good[..length]);
            using var again = ImageDecoder.Decode(good, "good");
            Assert.Equal(expected.Pixels, again.Pixels);
        }
    }

    [Fact]
    public void ErrorsNameTheFileAndSayWhatToDo()
    {
        AssertMessage("Truncated.jpg is truncated: fetch", Content("jpeg-420.jpg")[..600], "Truncated.jpg");
        AssertMessage("Empty.png is empty: fetch", [], "Empty.png");
        AssertMessage("notes.jpg is not a JPEG, PNG, WebP, GIF or BMP image but a text file", "These are notes."u8.ToArray(), "notes.jpg");
        AssertMessage("but an HTML page", "\n<!doctype HTML><html>"u8.ToArray(), "404.jpg");
        AssertMessage("but a TIFF image", [(byte)'I', (byte)'I', 42, 0, 8, 0, 0, 0], "x.tif");
        AssertMessage("but a PPM, PGM or PBM image", "P6\n1 1\n255\nabc"u8.ToArray(), "x.ppm");
        AssertMessage("but nothing but zero bytes", new byte[100], "zeros.jpg");
        AssertMessage("uses 16 bits a pixel", SixteenBits(), "high.bmp");
        AssertMessage("Half.png is truncated", Content("png-rgb-8.png")[..1500], "Half.png");
        AssertMessage("Half.webp is truncated or damaged", Content("webp-lossy.webp")[..300], "Half.webp");
    }

    [Fact]
    public void AMissingFileAndAFolderAreRefused()
    {
        using var scratch = new ScratchFolder();
        var missing = scratch.Path("none.jpg");
        Assert.Contains(missing, Assert.Throws<UserException>(() => ImageDecoder.Load(missing)).Message, StringComparison.Ordinal);
        Assert.Throws<UserException>(() => ImageDecoder.Load(scratch.Root));
    }

    [Fact]
    public void ChangedBytesInPNGDataAreFoundByItsCheckSums()
    {
        var file = Content("png-rgb-8.png");
        var data = file.AsSpan().IndexOf("IDAT"u8);
        for (var position = data + 200; position < file.Length - 40; position += 611)
        {
            var changed = file.ToArray();
            changed[position] ^= 0x10;
            AssertRefused(changed);
        }

        var header = file.ToArray();
        header[19] ^= 1;
        AssertRefused(header);
    }

    [Theory]
    [InlineData(20000, 20000)]
    [InlineData(int.MaxValue, 1)]
    [InlineData(0, 5)]
    [InlineData(-5, 5)]
    [InlineData(13000, 13000)]
    public void PNGHeadersWithImpossibleSizesAreRefusedBeforeMemoryIsTaken(int width, int height)
    {
        var file = Content("png-rgb-8.png");
        BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(16), width);
        BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(20), height);
        BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(29), CheckSum(file.AsSpan(12, 17)));
        var before = GC.GetAllocatedBytesForCurrentThread();
        AssertRefused(file);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Fact]
    public void AJPEGBombIsRefusedBeforeMemoryIsTaken()
    {
        var file = Content("jpeg-420.jpg");
        var frame = file.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xFF, 0xC0]);
        BinaryPrimitives.WriteUInt16BigEndian(file.AsSpan(frame + 5), 60000);
        BinaryPrimitives.WriteUInt16BigEndian(file.AsSpan(frame + 7), 60000);
        var message = AssertRefused(file);
        Assert.Contains("60000 x 60000", message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void DamagedFilesGivePixelsOrOneSentence(string file)
    {
        AssertRobust(file, damaged => ImageDecoder.Decode(damaged, "damaged"));
        if (file.StartsWith("jpeg-", StringComparison.Ordinal))
        {
            AssertRobust(file, damaged => damaged.AsSpan().StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF])
                ? JpegDecoder.Decode(null, damaged, "damaged")
                : ImageDecoder.Decode(damaged, "damaged"));
        }
    }

    [Fact]
    public void AMissingDecoderIsNoBadImage()
    {
        var kit = new WithoutSkia().LoadFromAssemblyName(typeof(ImageDecoder).Assembly.GetName());
        object Make(string type, params object[] arguments) =>
            Activator.CreateInstance(kit.GetType($"RegCache.Lab.Data.{type}", throwOnError: true)!, arguments)!;
        var options = Make("Images.ImageReaderOptions");
        options.GetType().GetProperty(nameof(ImageReaderOptions.SkipBadImages))!.SetValue(options, true);
        string[] files = [Path.Combine(PillowCases.Folder, "webp-lossy.webp")];
        dynamic reader = Make("Images.ImageBatchReader", Make("ImageFileItems", [files]), Make("Images.ImagePreprocessor", Make("Images.PreprocessOptions", 16)), options);
        var error = Assert.ThrowsAny<Exception>(() =>
        {
            foreach (var batch in reader.Read(1))
            {
                Assert.Fail("A batch was read without a decoder.");
            }
        });
        Assert.Equal(nameof(UserException), error.GetType().Name);
        Assert.Contains("SkiaSharp's native library, which decodes WebP files, cannot be loaded", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnImageThatWouldVanishIsRefused()
    {
        using var thin = DecodedImage.FromPixels(1, 300, PixelLayout.Rgb, new byte[900]);
        var preprocessor = new ImagePreprocessor(new PreprocessOptions(16) { ResizeMode = ResizeMode.Longest });
        Assert.Throws<UserException>(() => preprocessor.ToRgb(thin, new byte[preprocessor.OutputLength]));
    }

    /// <summary>A second copy of the kit that does not find SkiaSharp's native library.</summary>
    private sealed class WithoutSkia : AssemblyLoadContext
    {
        protected override Assembly? Load(AssemblyName assemblyName) => assemblyName.Name is "RegCache.Lab" or "SkiaSharp"
            ? LoadFromAssemblyPath(Path.Combine(AppContext.BaseDirectory, $"{assemblyName.Name}.dll"))
            : null;

        protected override nint LoadUnmanagedDll(string unmanagedDllName) =>
            unmanagedDllName.Contains("Skia", StringComparison.Ordinal) ? throw new DllNotFoundException(unmanagedDllName) : 0;
    }

    private static void AssertRobust(string file, Func<byte[], DecodedImage> decode)
    {
        var whole = Content(file);
        var damages = Arb.From(
            from seed in Gen.Choose(0, int.MaxValue - 1)
            from count in Gen.Choose(1, 12)
            select (seed, count));
        Prop.ForAll(damages, damage =>
        {
            var random = new Random(damage.seed);
            var damaged = whole.ToArray();
            for (var i = 0; i < damage.count; i++)
            {
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            }

            try
            {
                using var image = decode(damaged);
                return image.Pixels.Length == image.Width * image.Height * image.BytesPerPixel;
            }
            catch (UserException e)
            {
                return e.Message.Contains("damaged", StringComparison.Ordinal);
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(60));
    }

    /// <summary>CRC-32.</summary>
    private static uint CheckSum(ReadOnlySpan<byte> bytes)
    {
        var sum = uint.MaxValue;
        foreach (var value in bytes)
        {
            sum ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                sum = (sum >> 1) ^ ((sum & 1) * 0xEDB88320);
            }
        }

        return ~sum;
    }

    private static byte[] SixteenBits()
    {
        var file = Content("bmp-rgb.bmp");
        file[28] = 16;
        return file;
    }

    private static byte[] Content(string file) => File.ReadAllBytes(Path.Combine(PillowCases.Folder, file));

    private static string AssertRefused(byte[] file) =>
        Assert.Throws<UserException>(() => ImageDecoder.Decode(file, "bad").Dispose()).Message;

    private static void AssertMessage(string expected, byte[] file, string name) =>
        Assert.Contains(
            expected,
            Assert.Throws<UserException>(() => ImageDecoder.Decode(file, name).Dispose()).Message,
            StringComparison.Ordinal);
}
