using System.Runtime.Versioning;
using Xunit;

namespace RegCache.Lab.Tests.Build;

/// <summary>The scripts that a bundle carries, with small scripts in place of the program and the compiler.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class BundleTests
{
    private static readonly string Build = Path.Combine(Goldens.RepositoryRoot, "build");

    [Fact]
    public void TheLauncherWorksThroughALink()
    {
        using var bundle = new TemporaryFolder();
        Unpack(bundle);
        File.CreateSymbolicLink(bundle["tools", "link"], bundle["regcache"]);
        var (code, output, error) = ExternalProcess.Run(bundle["tools", "link"], ["doctor"]);
        Assert.True(code == 0, error);
        Assert.EndsWith("words=doctor|\n", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "{0}/libtorch/lib")]
    [InlineData("/opt/pytorch", "/opt/pytorch/lib")]
    public void TheLauncherPutsTheNamedLibtorchFirstAndItsOwnIcuAfterIt(string? named, string expected)
    {
        using var bundle = new TemporaryFolder();
        Unpack(bundle);
        WriteScript(bundle["app", "regcache"], "echo \"$LD_LIBRARY_PATH\"");
        var (code, output, error) = ExternalProcess.Run(bundle["regcache"], ["doctor"], ("LIBTORCH", named), ("LD_LIBRARY_PATH", "/mine"));
        Assert.True(code == 0, error);
        Assert.Equal($"{string.Format(expected, bundle.Root)}:{bundle.Root}/icu:/mine\n", output);
    }

    [Fact]
    public void InstallingBuildsEngineAndMpiIntoTheProgramAndRunsTheDoctor()
    {
        using var bundle = new TemporaryFolder();
        Unpack(bundle);
        WriteScript(bundle["engine", "build.sh"], "touch \"$1/libRegCacheInt8.so\"");
        WriteScript(bundle["mpi", "build.sh"], "touch \"$1/libRegCacheMpi.so\"");
        var (code, output, error) = ExternalProcess.Run(bundle["install.sh"], ["--device", "cuda"]);
        Assert.True(code == 0, error);
        Assert.EndsWith("words=doctor|--device|cuda|\n", output, StringComparison.Ordinal);
        Assert.True(File.Exists(bundle["app", "libRegCacheInt8.so"]));
        Assert.True(File.Exists(bundle["app", "libRegCacheMpi.so"]));
    }

    private static void Unpack(TemporaryFolder bundle)
    {
        foreach (var script in new[] { "install.sh", "regcache" })
        {
            File.Copy(Path.Combine(Build, "bundle", script), bundle[script]);
        }

        File.Copy(Path.Combine(Build, "environment.sh"), bundle["environment.sh"]);
        WriteScript(bundle["app", "regcache"], "printf 'words='; printf '%s|' \"$@\"; echo");
        Directory.CreateDirectory(bundle["tools"]);
    }

    private static void WriteScript(string path, string body)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "#!/bin/sh\n" + body + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
