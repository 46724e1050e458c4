using System.Runtime.InteropServices;
using System.Text.Json;
using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Tests.Data.Images;

/// <summary>The cases of preprocess_cases.json and the tensors of preprocess.safetensors.</summary>
internal sealed class PreprocessGoldens
{
    private readonly byte[] _file = File.ReadAllBytes(Goldens.Path("clip", "preprocess.safetensors"));
    private readonly JsonElement _header;
    private readonly int _dataStart;

    private PreprocessGoldens()
    {
        var length = (int)BitConverter.ToInt64(_file);
        _header = JsonSerializer.Deserialize<JsonElement>(_file.AsSpan(8, length));
        _dataStart = 8 + length;
    }

    public static PreprocessGoldens Instance { get; } = new();

    public static IReadOnlyList<JsonElement> Cases { get; } = [.. JsonSerializer.Deserialize<JsonElement>(
        File.ReadAllBytes(Goldens.Path("clip", "preprocess_cases.json"))).EnumerateArray()];

    public static JsonElement Case(string name) =>
        Cases.Single(item => item.GetProperty("name").GetString() == name);

    public static PreprocessOptions Options(JsonElement settings)
    {
        var size = settings.GetProperty("size");
        var (height, width) = size.ValueKind == JsonValueKind.Array
            ? (size[0].GetInt32(), size[1].GetInt32())
            : (size.GetInt32(), size.GetInt32());
        return new PreprocessOptions(height, width)
        {
            ResizeMode = settings.TryGetProperty("resize_mode", out var mode)
                ? Enum.Parse<ResizeMode>(mode.GetString()!, ignoreCase: true)
                : ResizeMode.Shortest,
            Interpolation = settings.TryGetProperty("interpolation", out var interpolation)
                ? Enum.Parse<Interpolation>(interpolation.GetString()!, ignoreCase: true)
                : Interpolation.Bicubic,
        };
    }

    public bool Has(string tensor) => _header.TryGetProperty(tensor, out _);

    public ReadOnlySpan<byte> Bytes(string name, string dtype)
    {
        var entry = _header.GetProperty(name);
        Assert.Equal(dtype, entry.GetProperty("dtype").GetString());
        var offsets = entry.GetProperty("data_offsets");
        var start = _dataStart + offsets[0].GetInt32();
        return _file.AsSpan(start, offsets[1].GetInt32() - offsets[0].GetInt32());
    }

    public ReadOnlySpan<float> Floats(string name) => MemoryMarshal.Cast<byte, float>(Bytes(name, "F32"));

    /// <summary>The source as the decoder would store it: grey repeated to three channels.</summary>
    public DecodedImage Source(string name)
    {
        var shape = _header.GetProperty($"{name}.source").GetProperty("shape");
        int height = shape[0].GetInt32(), width = shape[1].GetInt32(), channels = shape[2].GetInt32();
        var source = Bytes($"{name}.source", "U8");
        var color = channels <= 2 ? 1 : 3;
        List<byte> pixels = [];
        for (var i = 0; i < source.Length; i += channels)
        {
            for (var c = 0; c < 3; c++)
            {
                pixels.Add(source[i + (c % color)]);
            }

            if (channels > color)
            {
                pixels.Add(source[i + color]);
            }
        }

        var layout = channels > color ? PixelLayout.Rgba : PixelLayout.Rgb;
        return DecodedImage.FromPixels(width, height, layout, [.. pixels]);
    }
}
