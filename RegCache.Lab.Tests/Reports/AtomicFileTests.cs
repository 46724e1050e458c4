using RegCache.Lab.Reports;
using Xunit;

namespace RegCache.Lab.Tests.Reports;

public sealed class AtomicFileTests
{
    [Fact]
    public void WritesReplacesAndLeavesNothingElse()
    {
        using var folder = new TemporaryFolder();
        AtomicFile.WriteText(folder["new", "a.txt"], "first, and longer");
        AtomicFile.WriteText(folder["new", "a.txt"], "second: ä");
        Assert.Equal("second: ä"u8.ToArray(), File.ReadAllBytes(folder["new", "a.txt"]));
        Assert.Equal(["a.txt"], Names(folder["new"]));
    }

    [Fact]
    public void AFailedWriteKeepsTheOldContentAndLeavesNothing()
    {
        using var folder = new TemporaryFolder();
        AtomicFile.WriteText(folder["a.txt"], "old");
        Assert.Throws<InvalidOperationException>(() => AtomicFile.Write(folder["a.txt"], stream =>
        {
            stream.Write(new byte[100_000]);
            throw new InvalidOperationException("no more");
        }));
        Assert.Equal("old", File.ReadAllText(folder["a.txt"]));
        Assert.Equal(["a.txt"], Names(folder.Root));
    }

    [Fact]
    public async Task ReadersNeverSeeAPart()
    {
        using var folder = new TemporaryFolder();
        var path = folder["a.txt"];
        AtomicFile.WriteText(path, new string('x', 200_000));
        using var stop = new CancellationTokenSource();
        var writer = Task.Run(() =>
        {
            for (var round = 0; !stop.IsCancellationRequested; round++)
            {
                AtomicFile.WriteText(path, new string((char)('a' + round % 26), 200_000));
            }
        });
        for (var round = 0; round < 50; round++)
        {
            var text = File.ReadAllText(path);
            Assert.Equal(200_000, text.Length);
            Assert.Single(text.Distinct());
        }

        await stop.CancelAsync();
        await writer;
    }

    [Fact]
    public void APathBelowAFileIsRefused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["file"], "");
        var error = Assert.Throws<UserException>(() => AtomicFile.WriteText(folder["file", "a.txt"], "x"));
        Assert.Contains($"The file {folder["file", "a.txt"]} cannot be written", error.Message, StringComparison.Ordinal);
    }

    [SmallDiskFact]
    public void AFullDiskIsToldAndTheOldContentKept()
    {
        using var disk = SmallDisk.Mount(kilobytes: 64);
        AtomicFile.WriteText(disk["a.txt"], "old");
        var error = Assert.Throws<UserException>(() => AtomicFile.WriteBytes(disk["a.txt"], new byte[1_000_000]));
        Assert.Equal($"The file {disk["a.txt"]} cannot be written: the disk is full; free some space or choose another folder.", error.Message);
        Assert.Equal("old", File.ReadAllText(disk["a.txt"]));
        Assert.Equal(["a.txt"], Names(disk[""]));
    }

    [Fact]
    public void AFullDeviceIsRecognised()
    {
        var caught = Assert.Throws<IOException>(() =>
        {
            using var full = new FileStream("/dev/full", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            full.Write(new byte[16]);
        });
        Assert.True(FileErrors.IsFileError(caught));
        Assert.Contains("the disk is full", FileErrors.ToUserException(caught, "It").Message, StringComparison.Ordinal);
    }

    private static IEnumerable<string?> Names(string folder) => Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName);
}
