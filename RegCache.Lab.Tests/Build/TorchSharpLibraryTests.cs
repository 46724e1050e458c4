using System.Runtime.InteropServices;
using System.Text.Json;

namespace RegCache.Lab.Tests.Build;

/// <summary>The copy of TorchSharp's library that loads over an older libstdc++ (build/WeakenVersionNeed.cs), and what the program is told about libtorch.</summary>
[Trait("Category", "Slow")]
public sealed class TorchSharpLibraryTests
{
    private const string Name = "libLibTorchSharp.so";
    private static readonly string Project = Path.Combine(Goldens.RepositoryRoot, "RegCache.Lab.Cli", "RegCache.Lab.Cli.csproj");

    [Fact]
    public void ItLoadsHere()
    {
        Assert.True(NativeLibrary.TryLoad(Path.Combine(AppContext.BaseDirectory, Name), out var library));
        NativeLibrary.Free(library);
    }

    [Theory]
    [InlineData("auto", "GLIBCXX_3.4.30\0", true)]
    [InlineData("auto", "GLIBCXX_3.4.30\0GLIBCXX_3.4.32\0", false)]
    [InlineData("auto", "GLIBCXX_3.4.321\0", true)]
    [InlineData("always", "GLIBCXX_3.4.32\0", true)]
    [InlineData("never", "", false)]
    public void OnlyAnOlderLibraryGetsACopy(string when, string versionsOfTheSystem, bool isCopied)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["libstdc++.so.6"], versionsOfTheSystem);
        foreach (var (target, items) in new[] { ("ResolvePackageAssets", "NativeCopyLocalItems"), ("ComputeResolvedFilesToPublishList", "ResolvedFileToPublish") })
        {
            var path = Assert.Single(Items(target, items, when, folder["libstdc++.so.6"]), path => Path.GetFileName(path) == Name);
            Assert.Equal(isCopied, path.Contains("/weakened/", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void TheCopyDiffersFromThePackageInOneFlag()
    {
        var copied = File.ReadAllBytes(Assert.Single(Items("ResolvePackageAssets", "NativeCopyLocalItems", "always", ""), path => Path.GetFileName(path) == Name));
        var original = File.ReadAllBytes(Assert.Single(Items("ResolvePackageAssets", "NativeCopyLocalItems", "never", ""), path => Path.GetFileName(path) == Name));
        Assert.Equal(original.Length, copied.Length);
        var changed = Assert.Single(Enumerable.Range(0, original.Length), index => original[index] != copied[index]);
        Assert.Equal((0, 2), (original[changed], copied[changed]));
    }

    [Theory]
    [InlineData("false", "libtorch-cpu-", "TorchSharp-cuda-linux")]
    [InlineData("true", "TorchSharp-cuda-linux", "libtorch-cpu-")]
    public void OneLibtorchIsReferredTo(string cuda, string expected, string unexpected)
    {
        var packages = Evaluate(
            "PackageReference", "Identity", Path.Combine(Goldens.RepositoryRoot, "RegCache.Lab", "RegCache.Lab.csproj"), $"-p:Cuda={cuda}");
        Assert.Contains("TorchSharp", packages);
        Assert.Single(packages, package => package.StartsWith(expected, StringComparison.Ordinal));
        Assert.DoesNotContain(packages, package => package.StartsWith(unexpected, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("untouched", "by MKL")]
    [InlineData(null, "by MKL, chosen by the instruction set")]
    public void DoctorSaysHowMklChooses(string? variable, string expectedOnAmd)
    {
        var processor = File.ReadAllText("/proc/cpuinfo");
        Assert.Equal(
            processor.Contains("AuthenticAMD", StringComparison.Ordinal) && processor.Contains(" avx2 ", StringComparison.Ordinal)
            && Environment.GetEnvironmentVariable("REGCACHE_MKL") != "untouched",
            TensorLibrary.IsMklFreed);
        var (code, output, _) = ExternalProcess.Run(ExternalProcess.Regcache, ["doctor"], ("REGCACHE_MKL", variable));
        Assert.Equal(0, code);
        var line = Assert.Single(output.Split('\n'), line => line.TrimStart().StartsWith("products ", StringComparison.Ordinal)).Split(" : ")[1];
        Assert.StartsWith(TensorLibrary.IsMklFreed ? expectedOnAmd : "by MKL", line, StringComparison.Ordinal);
        Assert.Equal(variable is null && TensorLibrary.IsMklFreed, line.Contains("instruction set", StringComparison.Ordinal));
    }

    [Fact]
    public void TheVersionThatTheKitNamesIsTorchSharps() =>
        Assert.StartsWith(TensorLibrary.ExpectedVersion, torch.__version__, StringComparison.Ordinal);

    [Theory]
    [InlineData("version.py", "__version__ = '2.11.0+cu130'\ndebug = False\n", "PyTorch 2.11.0+cu130")]
    [InlineData("version.py", "from typing import Optional\n__version__: str = \"2.10.0\"\n", "PyTorch 2.10.0")]
    [InlineData("build-version", "2.10.0+cpu\n", "libtorch 2.10.0+cpu")]
    [InlineData("readme", "", "a libtorch of unknown version")]
    public void AFolderOfLibtorchTellsItsVersion(string file, string content, string expected)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder[file], content);
        Assert.Equal(expected, TensorLibrary.VersionOf(folder.Root));
    }

    [Fact]
    public void DoctorSaysThatABuildKeepsItsOwnLibtorch()
    {
        var (code, output, _) = ExternalProcess.Run(ExternalProcess.Regcache, ["doctor"], ("LIBTORCH", "/opt/libtorch"));
        Assert.Equal(0, code);
        Assert.Contains("LIBTORCH       : /opt/libtorch has no effect: this build carries its own libtorch", output, StringComparison.Ordinal);
    }

    private static List<string> Items(string target, string items, string when, string systemLibrary) => Evaluate(
        items, "FullPath", Project, $"-t:{target}", "-p:Configuration=Release", $"-p:WeakenVersionNeed={when}", $"-p:SystemLibstdcxx={systemLibrary}");

    private static List<string> Evaluate(string items, string metadata, string project, params string[] options)
    {
        var (code, output, error) = ExternalProcess.Run("dotnet", ["msbuild", project, $"-getItem:{items}", "-nodeReuse:false", .. options]);
        Assert.True(code == 0, output + error);
        using var document = JsonDocument.Parse(output);
        return [.. document.RootElement.GetProperty("Items").GetProperty(items).EnumerateArray()
            .Select(item => item.GetProperty(metadata).GetString()!.Replace('\\', '/'))];
    }
}
