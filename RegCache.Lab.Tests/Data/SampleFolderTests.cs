using RegCache.Lab.Data;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Data.Images;

namespace RegCache.Lab.Tests.Data;

public sealed class SampleFolderTests : IDisposable
{
    private static readonly string[] _images = ["a/1.jpg", "a/inner/2.jpg", "b/1.jpg"];
    private readonly ScratchFolder _scratch = new();

    public SampleFolderTests()
    {
        foreach (var (index, image) in _images.Index())
        {
            _scratch.Write([1, (byte)index], ["train", .. image.Split('/')]);
        }
    }

    private SampleFolder Sample => new(_scratch.Path("train"), _scratch.Path("sample"), _images, "three images");

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData(SampleMode.Link)]
    [InlineData(SampleMode.Copy)]
    public void FolderAndListHoldTheImages(SampleMode mode)
    {
        Assert.Equal(3, Write(mode));
        Assert.Equal(["# three images", .. _images], File.ReadAllLines(Sample.ListFile));
        Assert.All(_images.Index(), image => Assert.Equal([1, (byte)image.Index], File.ReadAllBytes(_scratch.Path("sample", image.Item))));
        Assert.Equal(mode == SampleMode.Link, new FileInfo(_scratch.Path("sample", _images[0])).LinkTarget is not null);
        Assert.False(Directory.Exists(Sample.Folder + ".part"));
        using var dataset = ClassFolderDataset.OpenClasses(Sample.Folder);
        Assert.Equal(3, dataset.Count);
        Assert.Equal(0, Write(mode));
    }

    [Fact]
    public void TheListAloneMakesNoFolder()
    {
        Assert.Equal(0, Write(SampleMode.List));
        Assert.True(File.Exists(Sample.ListFile));
        Assert.False(Directory.Exists(Sample.Folder));
    }

    [Theory]
    [InlineData(SampleMode.Link)]
    [InlineData(SampleMode.Copy)]
    public void AnInterruptedWriteGoesOnAndShowsNoFolderBefore(SampleMode mode)
    {
        using var source = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() => Sample.Write(mode, new CancelAfter(source, 2), source.Token));
        Assert.False(Directory.Exists(Sample.Folder));
        // A copy that was cut short is made again.
        File.Delete(_scratch.Path("sample.part", _images[0]));
        File.WriteAllBytes(_scratch.Path("sample.part", _images[0]), [1]);
        Assert.Equal(2, Write(mode));
        Assert.All(_images.Index(), image => Assert.Equal([1, (byte)image.Index], File.ReadAllBytes(_scratch.Path("sample", image.Item))));
    }

    [Fact]
    public void LostImagesComeBackAndModesMayChange()
    {
        Write(SampleMode.Link);
        File.Delete(_scratch.Path("sample", _images[2]));
        Assert.Equal(1, Write(SampleMode.Link));
        Assert.Equal(3, Write(SampleMode.Copy));
        Assert.Null(new FileInfo(_scratch.Path("sample", _images[0])).LinkTarget);
        Assert.Equal(2, new FileInfo(_scratch.Path("train", _images[0])).Length);
    }

    [Fact]
    public void AnotherSetIsNotTouched()
    {
        Write(SampleMode.Link);
        AssertRefused("lists another set", Sample with { Images = ["b/1.jpg"] });
        AssertRefused("lists another set", Sample with { Title = "another" });
        _scratch.Write([1], "mine", "a", "1.jpg");
        AssertRefused("is not of this command", Sample with { Folder = _scratch.Path("mine") });
        Assert.Equal([1], File.ReadAllBytes(_scratch.Path("mine", "a", "1.jpg")));
    }

    [Fact]
    public void TheTrainingFolderIsNoPlaceForIt()
    {
        AssertRefused("lies among the training images", Sample with { Folder = _scratch.Path("train", "sample") });
        AssertRefused("lies among the training images", Sample with { Folder = _scratch.Path("train") + "/" });
    }

    private static void AssertRefused(string expected, SampleFolder sample) => Assert.Contains(
        expected, Assert.Throws<UserException>(() => sample.Write(SampleMode.Link, SilentProgress.Instance)).Message, StringComparison.Ordinal);

    private int Write(SampleMode mode) => Sample.Write(mode, SilentProgress.Instance);

    private sealed class CancelAfter(CancellationTokenSource source, long most) : IWorkProgress, IProgressHandle
    {
        public IProgressHandle Start(string title, long total, string unit, long alreadyDone = 0) => this;

        public void Message(string text)
        {
        }

        public void Report(long done)
        {
            if (done == most)
            {
                source.Cancel();
            }
        }

        public void Dispose()
        {
        }
    }
}
