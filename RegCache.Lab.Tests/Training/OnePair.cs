using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Tests.Training;

/// <summary>A set that a task is made with where the test gives its batches itself.</summary>
internal sealed class OnePair : IPairSource
{
    public int Count => 1;

    public string Fingerprint => "one";

    public DataInventory Inventory { get; } = new("one", "pair", [], []);

    public string Name(int index) => "the pair";

    public DecodedImage Load(int index) => DecodedImage.FromPixels(1, 1, PixelLayout.Rgb, new byte[3]);

    public string Caption(int index) => "";

    public void Dispose()
    {
    }
}

/// <summary>A tokenizer for sets whose texts nobody reads.</summary>
internal sealed class NoTexts : ITokenizer
{
    public int ContextLength => 2;

    public long[] EncodeBatch(IReadOnlyList<string> texts) => new long[texts.Count * ContextLength];
}
