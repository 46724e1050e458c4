using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Images.Resampling;

namespace RegCache.Lab.Tests.Data.Images;

[Trait("Category", "Golden")]
public sealed class PreprocessGoldenTests
{
    public static TheoryData<string> Names => [.. PreprocessGoldens.Cases.Select(item => item.GetProperty("name").GetString()!)];

    public static TheoryData<string> NamesWithPlanes =>
        [.. PreprocessGoldens.Cases.Select(item => item.GetProperty("name").GetString()!)
            .Where(name => PreprocessGoldens.Instance.Has($"{name}.output"))];

    [Theory]
    [MemberData(nameof(Names))]
    public void BytesAreThoseOfThePublishedPipeline(string name)
    {
        var settings = PreprocessGoldens.Case(name);
        using var source = PreprocessGoldens.Instance.Source(name);
        foreach (var instructions in Enum.GetValues<InstructionSet>().Where(InstructionSets.IsSupported))
        {
            var preprocessor = new ImagePreprocessor(PreprocessGoldens.Options(settings), instructions);
            var rgb = new byte[preprocessor.OutputLength];
            if (settings.TryGetProperty("crop_h", out var height))
            {
                var box = new CropBox(
                    settings.GetProperty("left").GetInt32(), settings.GetProperty("top").GetInt32(),
                    settings.GetProperty("crop_w").GetInt32(), height.GetInt32());
                preprocessor.ToRgb(source, box, rgb);
            }
            else
            {
                preprocessor.ToRgb(source, rgb);
            }

            Assert.Equal(PreprocessGoldens.Instance.Bytes($"{name}.u8", "U8"), rgb);
        }
    }

    [Theory]
    [MemberData(nameof(NamesWithPlanes))]
    public void PlanesAreThoseOfThePublishedPipeline(string name)
    {
        var preprocessor = new ImagePreprocessor(PreprocessGoldens.Options(PreprocessGoldens.Case(name)));
        var planes = new float[preprocessor.OutputLength];
        preprocessor.Normalize(PreprocessGoldens.Instance.Bytes($"{name}.u8", "U8"), planes);
        var expected = PreprocessGoldens.Instance.Floats($"{name}.output");
        Assert.Equal(expected.Length, planes.Length);
        for (var i = 0; i < planes.Length; i++)
        {
            Assert.Equal(expected[i], planes[i], 1e-6f);
        }
    }
}
