using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Images.Resampling;

namespace RegCache.Lab.Tests.Images;

/// <summary>Every kind of file against Pillow, byte for byte.</summary>
public sealed class PillowTests
{
    public static TheoryData<int, string> Decodings => Of("decode");

    public static TheoryData<int, string> Preprocessings => Of("preprocess");

    [Theory]
    [MemberData(nameof(Decodings))]
    public void Decoded_pixels_are_Pillows(int number, string file)
    {
        Assert.NotEmpty(file);
        var item = PillowCases.All[number];
        using var decoded = ImageDecoder.Load(PillowCases.PathOf(item));
        Assert.Equal(item.GetProperty("settings").GetProperty("width").GetInt32(), decoded.Width);
        Assert.Equal(item.GetProperty("settings").GetProperty("height").GetInt32(), decoded.Height);
        using var rgb = decoded.ToRgb();
        Assert.Equal(PillowCases.Expected(item), rgb.Pixels);
    }

    [Theory]
    [MemberData(nameof(Preprocessings))]
    public void Resized_pixels_are_Pillows(int number, string file)
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

    private static TheoryData<int, string> Of(string operation)
    {
        TheoryData<int, string> data = [];
        for (var i = 0; i < PillowCases.All.Count; i++)
        {
            if (PillowCases.All[i].GetProperty("operation").GetString() == operation)
            {
                data.Add(i, PillowCases.All[i].GetProperty("file").GetString()!);
            }
        }

        return data;
    }
}
