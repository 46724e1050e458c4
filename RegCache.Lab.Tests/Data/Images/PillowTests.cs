using System.Buffers;
using System.Text.Json;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Images.Decoding;
using RegCache.Lab.Data.Images.Resampling;

namespace RegCache.Lab.Tests.Data.Images;

/// <summary>Every kind of file against Pillow, byte for byte.</summary>
public sealed class PillowTests
{
    public static TheoryData<int, string> Decodings => Of("decode", "");

    public static TheoryData<int, string> Jpegs => Of("decode", "jpeg-");

    public static TheoryData<int, string> Truncated => Of("truncated", "");

    public static TheoryData<int, string> Preprocessings => Of("preprocess", "");

    [Theory]
    [MemberData(nameof(Decodings))]
    public void DecodedPixelsArePillows(int number, string file)
    {
        Assert.NotEmpty(file);
        var item = PillowCases.All[number];
        SoilPool(item.GetProperty("length").GetInt32() / 3 * 4);
        using var decoded = ImageDecoder.Load(PillowCases.PathOf(item));
        AssertPixels(item, decoded);
    }

    [Theory]
    [MemberData(nameof(Jpegs))]
    public void WhereLibjpegTurboIsMissingJPEGPixelsArePillowsToo(int number, string file)
    {
        Assert.NotEmpty(file);
        var item = PillowCases.All[number];
        using var decoded = JpegDecoder.Decode(null, File.ReadAllBytes(PillowCases.PathOf(item)), file, DecodingOptions.Default);
        AssertPixels(item, decoded);
    }

    [Theory]
    [MemberData(nameof(Truncated))]
    public void WhatIsThereOfATruncatedJPEGFileIsPillows(int number, string file)
    {
        Assert.NotEmpty(file);
        var item = PillowCases.All[number];
        var start = File.ReadAllBytes(PillowCases.PathOf(item)).AsSpan(0, item.GetProperty("settings").GetProperty("kept").GetInt32());
        var options = new DecodingOptions { TruncatedImages = true };
        using var decoded = ImageDecoder.Decode(start, file, options);
        AssertPixels(item, decoded);
        Assert.True(decoded.IsTruncated);

        // Skia has a newer libjpeg-turbo, which fills the gaps of these two in another way.
        using var withoutTurbo = JpegDecoder.Decode(null, start, file, options);
        Assert.True(withoutTurbo.IsTruncated);
        if (file is not ("jpeg-420-progressive.jpg" or "jpeg-restarts.jpg"))
        {
            AssertPixels(item, withoutTurbo);
        }
    }

    [Fact]
    public void ConversionInTheSameMemoryMakesTheSamePixels()
    {
        foreach (var file in PillowCases.Files.Select(file => Path.Combine(PillowCases.Folder, file)))
        {
            using var image = ImageDecoder.Load(file);
            using var expected = image.ToRgb();
            using var rgb = ImageDecoder.Load(file).IntoRgb();
            Assert.Equal(expected.Pixels, rgb.Pixels);
        }
    }

    [Theory]
    [MemberData(nameof(Preprocessings))]
    public void ResizedPixelsArePillows(int number, string file)
    {
        Assert.NotEmpty(file);
        var item = PillowCases.All[number];
        using var decoded = ImageDecoder.Load(PillowCases.PathOf(item));
        foreach (var instructions in Enum.GetValues<InstructionSet>().Where(InstructionSets.IsSupported))
        {
            var preprocessor = new ImagePreprocessor(PillowCases.Options(item), instructions);
            var rgb = new byte[preprocessor.OutputLength];
            preprocessor.ToRgb(decoded, rgb);
            Assert.Equal(PillowCases.Expected(item), rgb);
        }
    }

    /// <summary>Pixels that a decoder leaves out must not show what was in the memory before.</summary>
    private static void SoilPool(int length)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(length + DecodedImage.Padding);
        Array.Fill(buffer, (byte)0xA5);
        ArrayPool<byte>.Shared.Return(buffer);
    }

    private static void AssertPixels(JsonElement item, DecodedImage decoded)
    {
        Assert.Equal(item.GetProperty("settings").GetProperty("width").GetInt32(), decoded.Width);
        Assert.Equal(item.GetProperty("settings").GetProperty("height").GetInt32(), decoded.Height);
        using var rgb = decoded.ToRgb();
        Assert.Equal(PillowCases.Expected(item), rgb.Pixels);
    }

    private static TheoryData<int, string> Of(string operation, string prefix)
    {
        TheoryData<int, string> data = [];
        for (var i = 0; i < PillowCases.All.Count; i++)
        {
            var file = PillowCases.All[i].GetProperty("file").GetString()!;
            if (PillowCases.All[i].GetProperty("operation").GetString() == operation && file.StartsWith(prefix, StringComparison.Ordinal))
            {
                data.Add(i, file);
            }
        }

        return data;
    }
}
