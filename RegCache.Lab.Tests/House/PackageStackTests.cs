using System.Text.Json;
using System.Xml.Linq;
using Xunit;

namespace RegCache.Lab.Tests.House;

/// <summary>What each package stack makes the library refer to, as MSBuild evaluates it.</summary>
public sealed class PackageStackTests
{
    private static readonly string Project = Path.Combine(Goldens.RepositoryRoot, "RegCache.Lab", "RegCache.Lab.csproj");

    [Theory]
    [InlineData("false", "TorchSharp-cpu", "TorchSharp-cuda-linux")]
    [InlineData("true", "TorchSharp-cuda-linux", "TorchSharp-cpu")]
    public void TheRegistryStackRefersToThePackages(string cuda, string expected, string unexpected)
    {
        var packages = Items("PackageReference", "registry", cuda);
        Assert.Contains("TorchSharp", packages);
        Assert.Contains("SixLabors.ImageSharp", packages);
        Assert.Contains(expected, packages);
        Assert.DoesNotContain(unexpected, packages);
        Assert.DoesNotContain(Items("ProjectReference", "registry", cuda), IsStandIn);
    }

    [Fact]
    public void TheStandInStackRefersToTheStandIns()
    {
        var projects = Items("ProjectReference", "standins", "false");
        Assert.Contains(projects, path => path.EndsWith("standins/TorchSharp/TorchSharp.csproj", StringComparison.Ordinal));
        Assert.Contains(projects, path => path.EndsWith("standins/SixLabors.ImageSharp/SixLabors.ImageSharp.csproj", StringComparison.Ordinal));
        Assert.DoesNotContain(
            Items("PackageReference", "standins", "false"),
            package => package.StartsWith("TorchSharp", StringComparison.Ordinal) || package.StartsWith("SixLabors", StringComparison.Ordinal));
    }

    [Fact]
    public void EveryPackageOfTheRegistryStackHasACentralVersion()
    {
        var versions = XDocument.Load(Path.Combine(Goldens.RepositoryRoot, "Directory.Packages.props"))
            .Descendants("PackageVersion")
            .ToDictionary(version => version.Attribute("Include")!.Value, version => version.Attribute("Version")!.Value);
        Assert.Equal("0.106.0", versions["TorchSharp"]);
        Assert.Equal(versions["TorchSharp"], versions["TorchSharp-cpu"]);
        Assert.Equal(versions["TorchSharp"], versions["TorchSharp-cuda-linux"]);
        Assert.All(Items("PackageReference", "registry", "true"), package => Assert.Contains(package, versions.Keys));
    }

    private static bool IsStandIn(string path) => path.Contains("standins/", StringComparison.Ordinal);

    private static List<string> Items(string kind, string stack, string cuda)
    {
        var (code, output, error) = ExternalProcess.Run(
            "dotnet", ["msbuild", Project, $"-getItem:{kind}", $"-p:PackageStack={stack}", $"-p:Cuda={cuda}", "-nodeReuse:false"]);
        Assert.True(code == 0, output + error);
        using var document = JsonDocument.Parse(output);
        return [.. document.RootElement.GetProperty("Items").GetProperty(kind).EnumerateArray()
            .Select(item => item.GetProperty("Identity").GetString()!.Replace('\\', '/'))];
    }
}
