using RegCache.Lab.Data;
using RegCache.Lab.Tests.Data.Images;

namespace RegCache.Lab.Tests.Data;

[Collection(ProcessWide.Name)]
public sealed class ShardMemoryTests : IDisposable
{
    private const int Samples = 20_000;
    private readonly ScratchFolder _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void ASampleTakesLessThanAHundredBytes()
    {
        var path = Write();
        Assert.InRange(BytesOf(() => new WebDatasetSource([path])) / Samples, 40, 75);
        Assert.InRange(BytesOf(() => ImageSetFormats.Open(path, new(NeedsLabels: true))) / Samples, 30, 60);
    }

    // The one in the middle of several: what earlier tests left behind may be released meanwhile.
    private static double BytesOf(Func<IDisposable> open) => Enumerable.Range(0, 5).Select(_ =>
    {
        open().Dispose();
        GC.WaitForPendingFinalizers();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        using var source = open();
        return (double)(GC.GetTotalMemory(forceFullCollection: true) - before);
    }).Order().ElementAt(2);

    private string Write()
    {
        var tar = new TarBytes();
        for (var sample = 0; sample < Samples; sample++)
        {
            tar.Add($"{sample:D9}.jpg", "x").Add($"{sample:D9}.txt", "a").Add($"{sample:D9}.cls", "0");
        }

        return _scratch.Write(tar.Ended, "0.tar");
    }
}
