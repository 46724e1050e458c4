using System.Buffers.Binary;
using System.Reflection;
using System.Runtime.Loader;
using System.Text;
using System.Text.RegularExpressions;
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
    [InlineData("pbm-bytes.pbm")]
    [InlineData("pgm-bytes-1000.pgm")]
    [InlineData("ppm-bytes-255.ppm")]
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
                Assert.Throws<UserException>(() => JpegDecoder.Decode(null, whole.AsSpan(0, length), "bad", DecodingOptions.Default).Dispose()).Message,
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
        AssertMessage("notes.jpg is not a JPEG, PNG, WebP, GIF, BMP or PPM image but a text file", "These are notes."u8.ToArray(), "notes.jpg");
        AssertMessage("but an HTML page", "\n<!doctype HTML><html>"u8.ToArray(), "404.jpg");
        AssertMessage("but a TIFF image", [(byte)'I', (byte)'I', 42, 0, 8, 0, 0, 0], "x.tif");
        AssertMessage("but a PAM image", "P7\nWIDTH 1\n"u8.ToArray(), "x.pam");
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
        Assert.Contains("it is a folder", Assert.Throws<UserException>(() => ImageDecoder.Load(scratch.Root)).Message, StringComparison.Ordinal);
        Assert.Contains("null character", Assert.Throws<UserException>(() => ImageDecoder.Load("a\0b.jpg")).Message, StringComparison.Ordinal);
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
    [InlineData("jpeg-420.jpg")]
    [InlineData("jpeg-arithmetic.jpg")]
    [InlineData("png-rgb-8.png")]
    [InlineData("png-palette-8.png")]
    [InlineData("png-grey-16.png")]
    [InlineData("gif-palette.gif")]
    [InlineData("bmp-rgb.bmp")]
    [InlineData("pbm-bytes.pbm")]
    [InlineData("ppm-text-255.ppm")]
    [InlineData("webp-lossy.webp")]
    [InlineData("webp-lossless-alpha.webp")]
    [InlineData("webp-animated.webp")]
    public void TheLimitOfPixelsHoldsForEveryFormat(string file)
    {
        var whole = Content(file);
        using var image = ImageDecoder.Decode(whole, file, new() { MaxPixels = 45 * 35 });
        Assert.Equal((45, 35), (image.Width, image.Height));
        var message = Assert.Throws<UserException>(() => ImageDecoder.Decode(whole, file, new() { MaxPixels = (45 * 35) - 1 }).Dispose()).Message;
        Assert.Contains($"{file} claims 45 x 35 pixels, more than the 1574 that are accepted", message, StringComparison.Ordinal);
        Assert.Contains("--max-pixels", message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheUsualLimitIsPillows()
    {
        // PIL.Image.MAX_IMAGE_PIXELS is what fits into 256 MiB of RGB; twice as many are an error.
        Assert.Equal(2 * (1024L * 1024 * 1024 / 4 / 3), DecodingOptions.Default.MaxPixels);
        Assert.Throws<UserException>(() => new DecodingOptions { MaxPixels = 0 });
        Assert.Throws<UserException>(() => new DecodingOptions { MaxPixels = DecodingOptions.MostMaxPixels + 1 });
    }

    [Theory]
    [InlineData("jpeg-420.jpg", false)]
    [InlineData("jpeg-420-progressive.jpg", false)]
    [InlineData("jpeg-420.jpg", true)]
    public void ASmallJPEGFileThatClaimsALargeImageIsRefusedBeforeMemoryIsTaken(string name, bool truncatedImages)
    {
        var file = Content(name);
        var frame = file.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xFF, 0xC0]) is >= 0 and var baseline
            ? baseline
            : file.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xFF, 0xC2]);
        BinaryPrimitives.WriteUInt16BigEndian(file.AsSpan(frame + 5), 13000);
        BinaryPrimitives.WriteUInt16BigEndian(file.AsSpan(frame + 7), 13000);
        var before = Environment.WorkingSet;
        var message = Assert.Throws<UserException>(
            () => ImageDecoder.Decode(file, name, new() { TruncatedImages = truncatedImages }).Dispose()).Message;
        Assert.Contains("far too short for 13000 x 13000 pixels", message, StringComparison.Ordinal);
        Assert.InRange(Environment.WorkingSet - before, long.MinValue, 200L << 20);
    }

    [Theory]
    [InlineData("gif-animated.gif")]
    [InlineData("webp-animated.webp")]
    [InlineData("webp-animated-alpha.webp")]
    public void AnimationsGiveTheirFirstFrame(string file)
    {
        var whole = Content(file);
        var count = file.EndsWith(".gif", StringComparison.Ordinal) ? Regex.Count(Encoding.Latin1.GetString(whole), "\x21\xF9\x04") : Regex.Count(Encoding.Latin1.GetString(whole), "ANMF");
        Assert.Equal(2, count);
        using var image = ImageDecoder.Decode(whole, file);
        // Without most of the second frame, which is incomplete then.
        using var first = ImageDecoder.Decode(whole.AsSpan(0, whole.Length - 200), file);
        Assert.Equal(first.Pixels, image.Pixels);
    }

    [Fact]
    public void LargeImagesTakeNoMemoryBeforeTheyAreDecodedAndGiveItBackAtOnce()
    {
        var before = Environment.WorkingSet;
        var image = DecodedImage.Rent("large", 12000, 12000, PixelLayout.Rgba, null);
        Assert.True(image.IsZeroed);
        Assert.InRange(Environment.WorkingSet - before, long.MinValue, 100L << 20);
        image.Writable.Fill(1);
        Assert.InRange(Environment.WorkingSet - before, 400L << 20, long.MaxValue);
        image.Dispose();
        Assert.InRange(Environment.WorkingSet - before, long.MinValue, 200L << 20);
        Assert.Throws<ObjectDisposedException>(() => image.Pixels.Length);
    }

    [Theory]
    [InlineData("P5\n2 2\n0\nabcd", "its largest value is 0")]
    [InlineData("P5\n2 2\n70000\nabcdefgh", "its largest value is 70000")]
    [InlineData("P2\n2 2\n9\n1 2 3 10", "10 is above its largest value 9")]
    [InlineData("P2\n2 2\n9\n1 2 x 4", "truncated or damaged")]
    [InlineData("P1\n2 2\n01 12", "truncated or damaged")]
    [InlineData("P6\n2 2\n255\nabcdefghijk", "The PPM file bad is truncated")]
    [InlineData("P6\n2", "truncated or damaged")]
    [InlineData("P6\n-2 2\n255\n", "truncated or damaged")]
    [InlineData("P4\n0 2\n", "has the size 0 x 2")]
    [InlineData("P3 100000 100000 255 1 2 3", "claims 100000 x 100000 pixels")]
    public void ImpossiblePPMFilesAreRefused(string file, string reason) =>
        Assert.Contains(reason, AssertRefused(Encoding.ASCII.GetBytes(file)), StringComparison.Ordinal);

    [Theory]
    [MemberData(nameof(Files))]
    public void DamagedFilesGivePixelsOrOneSentence(string file)
    {
        AssertRobust(file, damaged => ImageDecoder.Decode(damaged, "damaged"));
        if (file.StartsWith("jpeg-", StringComparison.Ordinal))
        {
            AssertRobust(file, damaged => damaged.AsSpan().StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF])
                ? JpegDecoder.Decode(null, damaged, "damaged", DecodingOptions.Default)
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
        dynamic reader = Make("Images.ImageBatchReader", Make("ImageFileItems", [files, null!]), Make("Images.ImagePreprocessor", Make("Images.PreprocessOptions", 16)), options);
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
    internal static uint CheckSum(ReadOnlySpan<byte> bytes)
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
