using Xunit;

namespace RegCache.Lab.Tests.Reports;

/// <summary>A file system of a few kilobytes in memory, to be filled. Only root may mount one: see <see cref="SmallDiskFactAttribute"/>.</summary>
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
        var (code, _, error) = TryMount(kilobytes, disk._folder.Root);
        Assert.True(code == 0, error);
        return disk;
    }

    /// <summary>Why no disk can be mounted here; null: one can.</summary>
    public static string? WhyNot()
    {
        using var folder = new TemporaryFolder();
        var (code, _, error) = TryMount(64, folder.Root);
        if (code != 0)
        {
            return "A small file system cannot be mounted here: " + error.Trim();
        }

        ExternalProcess.Run("umount", [folder.Root]);
        return null;
    }

    public void Dispose()
    {
        ExternalProcess.Run("umount", [_folder.Root]);
        _folder.Dispose();
    }

    private static (int ExitCode, string Output, string Error) TryMount(int kilobytes, string folder) =>
        ExternalProcess.Run("mount", ["-t", "tmpfs", "-o", $"size={kilobytes}k", "tmpfs", folder]);
}
