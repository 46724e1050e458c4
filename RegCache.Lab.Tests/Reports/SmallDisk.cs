using RegCache.Lab.Tests.House;
using Xunit;

namespace RegCache.Lab.Tests.Reports;

/// <summary>A file system of a few kilobytes in memory, to be filled. Only root may mount one; others see the test skipped.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private SmallDisk()
    {
    }

    public string this[string name] => _folder[name];

    public static SmallDisk Mount(int kilobytes)
    {
        var disk = new SmallDisk();
        var (code, _, error) = ExternalProcess.Run("mount", ["-t", "tmpfs", "-o", $"size={kilobytes}k", "tmpfs", disk._folder.Root]);
        if (code != 0)
        {
            disk._folder.Dispose();
            // The test runner takes an exception with this beginning for a skip with a reason.
            Assert.Fail("$XunitDynamicSkip$A small file system cannot be mounted here: " + error.Trim());
        }

        return disk;
    }

    public void Dispose()
    {
        ExternalProcess.Run("umount", [_folder.Root]);
        _folder.Dispose();
    }
}
