using RegCache.Lab.Data;

namespace RegCache.Lab.Tests.Data;

public sealed class PathListTests
{
    [Fact]
    public void PathsComeBackInTheirOrder()
    {
        var paths = new PathList();
        paths.Add("/a", ["1.jpg", "zwölf.jpg"]);
        paths.Add("/empty", []);
        paths.Add("/a/b", ["2.jpg"]);
        paths.Add("/c", ["\U0001F600.png"]);

        Assert.Equal(["/a/1.jpg", "/a/zwölf.jpg", "/a/b/2.jpg", "/c/\U0001F600.png"], paths.Trim());
        Assert.Equal("/a/b/2.jpg", paths[2]);
        Assert.Throws<ArgumentOutOfRangeException>(() => paths[4]);
        Assert.Throws<ArgumentOutOfRangeException>(() => paths[-1]);
    }

    [Fact]
    public void AMillionPathsTakeFortyBytesEach()
    {
        var names = Enumerable.Range(0, 1000).Select(index => $"ILSVRC2012_train_{index:D8}.JPEG").ToList();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var paths = new PathList();
        for (var folder = 0; folder < 1000; folder++)
        {
            paths.Add($"/data/imagenet/train/n{folder:D8}", names);
        }

        paths.Trim();
        var bytes = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.InRange(bytes / 1e6, 30, 45);
        Assert.Equal("/data/imagenet/train/n00000999/ILSVRC2012_train_00000999.JPEG", paths[999_999]);
    }
}
