using System.IO.Compression;
using System.Text.Json;
using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Tests.Data.Images;

/// <summary>The images of the folder Files and what Pillow makes of them (make_images.py).</summary>
internal static class PillowCases
{
    private static readonly Lazy<byte[]> Blob = new(ReadBlob);

    public static string Folder { get; } = Path.Combine(Goldens.RepositoryRoot, "RegCache.Lab.Tests", "Data", "Images", "Files");

    public static IReadOnlyList<JsonElement> All { get; } = [.. JsonSerializer.Deserialize<JsonElement>(
        File.ReadAllBytes(Path.Combine(Folder, "expected.json"))).EnumerateArray()];

    /// <summary>All image files.</summary>
    public static IReadOnlyList<string> Files { get; } =
        [.. All.Select(item => item.GetProperty("file").GetString()!).Distinct()];

    public static string PathOf(JsonElement item) => Path.Combine(Folder, item.GetProperty("file").GetString()!);

    public static ReadOnlySpan<byte> Expected(JsonElement item) =>
        Blob.Value.AsSpan(item.GetProperty("offset").GetInt32(), item.GetProperty("length").GetInt32());

    public static PreprocessOptions Options(JsonElement item)
    {
        var settings = item.GetProperty("settings");
        return new PreprocessOptions(settings.GetProperty("height").GetInt32(), settings.GetProperty("width").GetInt32())
        {
            ResizeMode = Enum.Parse<ResizeMode>(settings.GetProperty("mode").GetString()!, ignoreCase: true),
            Interpolation = Enum.Parse<Interpolation>(settings.GetProperty("interpolation").GetString()!, ignoreCase: true),
            Fill = settings.GetProperty("fill").GetByte(),
        };
    }

    private static byte[] ReadBlob()
    {
        using var file = File.OpenRead(Path.Combine(Folder, "expected.bin"));
        using var inflater = new ZLibStream(file, CompressionMode.Decompress);
        using var buffer = new MemoryStream();
        inflater.CopyTo(buffer);
        return buffer.ToArray();
    }
}
