using System.Runtime.Versioning;
using Xunit;

namespace RegCache.Lab.Tests.House;

/// <summary>The scripts that a bundle carries, with stand-ins for the program and the compiler.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class BundleTests
{
    private static readonly string Build = Path.Combine(Goldens.RepositoryRoot, "build");

    [Theory]
    [InlineData("libicuuc.so.72 (libc6,x86-64) => /lib/libicuuc.so.72", "")]
    [InlineData("libwebp.so.7 (libc6,x86-64) => /lib/libwebp.so.7", "1")]
    public void TheLauncherAsksForTheInvariantModeWhereIcuIsMissing(string libraries, string expected)
    {
        using var bundle = new TemporaryFolder();
        Unpack(bundle);
        WriteScript(bundle["tools", "ldconfig"], $"echo '{libraries}'");
        var (code, output, error) = ExternalProcess.Run(
            bundle["regcache"], ["eval", "a b"],
            ("PATH", $"{bundle["tools"]}:{Environment.GetEnvironmentVariable("PATH")}"), ("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", null));
        Assert.True(code == 0, error);
        Assert.Equal($"invariant={expected} words=eval|a b|\n", output);
    }

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

    [Fact]
    public void InstallingBuildsBothLibrariesIntoTheProgramAndRunsTheDoctor()
    {
        using var bundle = new TemporaryFolder();
        Unpack(bundle);
        WriteScript(bundle["native", "build.sh"], "touch \"$1/libTorchSharpBridge.so\"");
        WriteScript(bundle["native", "int8", "build.sh"], "touch \"$1/libRegCacheInt8.so\"");
        var (code, output, error) = ExternalProcess.Run(bundle["install.sh"], ["--device", "cuda"]);
        Assert.True(code == 0, error);
        Assert.EndsWith("words=doctor|--device|cuda|\n", output, StringComparison.Ordinal);
        Assert.True(File.Exists(bundle["app", "libTorchSharpBridge.so"]));
        Assert.True(File.Exists(bundle["app", "libRegCacheInt8.so"]));
    }

    [Fact]
    public void InstallingStopsWhereTheBridgeCannotBeBuilt()
    {
        using var bundle = new TemporaryFolder();
        Unpack(bundle);
        WriteScript(bundle["native", "build.sh"], "echo 'error: no libtorch' >&2; exit 1");
        var (code, output, error) = ExternalProcess.Run(bundle["install.sh"], []);
        Assert.Equal(1, code);
        Assert.Empty(output);
        Assert.Equal("error: no libtorch\n", error);
    }

    private static void Unpack(TemporaryFolder bundle)
    {
        foreach (var script in new[] { "install.sh", "regcache" })
        {
            File.Copy(Path.Combine(Build, "bundle", script), bundle[script]);
        }

        File.Copy(Path.Combine(Build, "environment.sh"), bundle["environment.sh"]);
        WriteScript(
            bundle["app", "regcache"], "printf 'invariant=%s words=' \"${DOTNET_SYSTEM_GLOBALIZATION_INVARIANT:-}\"; printf '%s|' \"$@\"; echo");
        Directory.CreateDirectory(bundle["tools"]);
    }

    private static void WriteScript(string path, string body)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "#!/bin/sh\n" + body + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
