using System.IO.Compression;
using System.Text.Json;
using RegCache.Lab.Training.Augmentation;

namespace RegCache.Lab.Tests.Training.Augmentation;

/// <summary>RandAugment's operators, blur and grey against Pillow: its stored bytes, and where Python has Pillow its own, on larger pictures.</summary>
public sealed class PillowAugmentTests
{
    private static readonly string _folder = Path.Combine(Goldens.RepositoryRoot, "RegCache.Lab.Tests", "Training", "Augmentation");

    [Fact]
    [Trait("Category", "Golden")]
    public void EveryOperatorGivesPillowsBytes() => AssertSameBytes(_folder);

    [PillowFact]
    public void LargerPicturesGivePillowsBytesToo()
    {
        foreach (var (width, height, seed) in new[] { (224, 224, 1), (32, 32, 2), (70, 41, 3), (3, 5, 4), (1, 1, 5) })
        {
            var folder = Directory.CreateTempSubdirectory("pillow-");
            var (code, _, error) = ExternalProcess.Run(
                PillowFactAttribute.Python, [Path.Combine(_folder, "pillow_augment.py"), folder.FullName, $"{width}", $"{height}", $"{seed}", "4"]);
            Assert.True(code == 0, error);
            AssertSameBytes(folder.FullName);
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void ThereAreTheFifteenOperatorsOfThePolicy() => Assert.Equal(15, AugmentOperator.All.Names.Distinct().Count());

    private static void AssertSameBytes(string folder)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "pillow.json")));
        var (width, height) = (json.RootElement.GetProperty("width").GetInt32(), json.RootElement.GetProperty("height").GetInt32());
        using var inflater = new ZLibStream(File.OpenRead(Path.Combine(folder, "pillow.bin")), CompressionMode.Decompress);
        byte[] Next()
        {
            var bytes = new byte[width * height * 3];
            inflater.ReadExactly(bytes);
            return bytes;
        }

        var source = Next();
        var operators = AugmentOperator.All.ToDictionary(item => item.Name);
        var wrong = new List<string>();
        foreach (var item in json.RootElement.GetProperty("cases").EnumerateArray())
        {
            var (name, argument) = (item.GetProperty("operation").GetString()!, item.GetProperty("argument").GetDouble());
            var picture = new Picture(width, height);
            source.CopyTo(picture.Pixels);
            if (operators.TryGetValue(name, out var change))
            {
                Assert.Equal(argument, change.Argument(item.GetProperty("level").GetDouble(), item.GetProperty("sign").GetInt32()));
                change.Apply(picture, argument);
            }
            else if (name == "GaussianBlur")
            {
                GaussianBlur.Apply(picture, argument);
            }
            else
            {
                Assert.Equal("Grey", name);
                PixelOperations.Grey(picture.Pixels);
            }

            var expected = Next();
            var differences = expected.Zip(picture.Pixels.ToArray()).Count(pair => pair.First != pair.Second);
            if (differences > 0)
            {
                wrong.Add($"{name}({argument}): {differences} bytes of {expected.Length}");
            }
        }

        Assert.Empty(wrong);
    }
}

/// <summary>A test against a real Pillow; where the system's Python has none the test is skipped and says so.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PillowFactAttribute : FactAttribute
{
    public const string Python = "/usr/bin/python3";

    private static readonly Lazy<bool> _isPresent = new(() =>
        File.Exists(Python) && ExternalProcess.Run(Python, ["-c", "import numpy, PIL; assert PIL.__version__ == '9.4.0'"]).ExitCode == 0);

    public PillowFactAttribute()
    {
        if (!_isPresent.Value)
        {
            Skip = $"needs {Python} with NumPy and Pillow 9.4 (Debian: python3-numpy, python3-pil)";
        }
    }
}
