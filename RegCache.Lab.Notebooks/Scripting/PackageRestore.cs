using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>Fetches packages for <c>#r "nuget: NAME, VERSION"</c> by letting <c>dotnet restore</c> do it for a throw-away project.</summary>
internal static partial class PackageRestore
{
    /// <summary>Whether a directive names a package, and which.</summary>
    /// <exception cref="UserException">It does, but not well.</exception>
    public static bool TryParse(string directive, out string name, out string? version)
    {
        (name, version) = (string.Empty, null);
        if (!directive.StartsWith("nuget:", StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        var match = Package().Match(directive);
        if (!match.Success)
        {
            throw new UserException($"#r \"{directive}\" cannot be read; write #r \"nuget: NAME, VERSION\".");
        }

        name = match.Groups["name"].Value;
        version = match.Groups["version"] is { Success: true } group ? group.Value : null;
        return true;
    }

    /// <summary>Restores a package.</summary>
    /// <exception cref="UserException">The registry has no such package, or there is no .NET SDK.</exception>
    public static async Task<RestoredPackages> RestoreAsync(string name, string? version, CancellationToken cancellation)
    {
        var folder = Directory.CreateTempSubdirectory("regcache-nuget-").FullName;
        try
        {
            var project = Path.Combine(folder, "packages.csproj");
            await File.WriteAllTextAsync(project, $"""
                <Project Sdk="Microsoft.NET.Sdk">
                  <PropertyGroup>
                    <TargetFramework>net{Environment.Version.Major}.{Environment.Version.Minor}</TargetFramework>
                    <ManagePackageVersionsCentrally>false</ManagePackageVersionsCentrally>
                    <ImportDirectoryBuildProps>false</ImportDirectoryBuildProps>
                  </PropertyGroup>
                  <ItemGroup><PackageReference Include="{SecurityElement.Escape(name)}" Version="{SecurityElement.Escape(version ?? "*")}" /></ItemGroup>
                </Project>
                """, cancellation);
            var (exitCode, output) = await RunAsync(project, cancellation);
            if (exitCode != 0)
            {
                var reason = output.Split('\n').FirstOrDefault(line => line.Contains("error", StringComparison.Ordinal)) ?? output;
                var code = ErrorCode().Match(reason) is { Success: true } match ? $" ({match.Value})" : string.Empty;
                throw new UserException(
                    $"The package {name}{(version is null ? string.Empty : $" {version}")} cannot be had from the package registry{code}: "
                    + $"{reason[(reason.IndexOf(": ", reason.IndexOf("error", StringComparison.Ordinal) + 1, StringComparison.Ordinal) + 1)..].Trim()} "
                    + "Name a version that it has, or reference a built assembly with #r \"path\".");
            }

            return Assets(Path.Combine(folder, "obj", "project.assets.json"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<(int ExitCode, string Output)> RunAsync(string project, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo("dotnet", ["restore", project, "--nologo", "-v", "quiet"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetDirectoryName(project),
        };
        using var process = Start(start);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(cancellation);
            var error = process.StandardError.ReadToEndAsync(cancellation);
            await process.WaitForExitAsync(cancellation);
            return (process.ExitCode, await output + await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new UserException("Packages need the .NET SDK: there is no program dotnet on the path; install it, or use #r \"path\".", exception);
        }
    }

    private static RestoredPackages Assets(string file)
    {
        using var assets = JsonDocument.Parse(File.ReadAllText(file));
        var root = assets.RootElement;
        var folders = root.GetProperty("packageFolders").EnumerateObject().Select(folder => folder.Name).ToArray();
        var libraries = root.GetProperty("libraries");
        var managed = new List<string>();
        var native = new List<string>();
        foreach (var package in root.GetProperty("targets").EnumerateObject().First().Value.EnumerateObject())
        {
            if (!libraries.GetProperty(package.Name).TryGetProperty("path", out var relative))
            {
                continue;
            }

            var packageRoot = folders.Select(folder => Path.Combine(folder, relative.GetString()!)).First(Directory.Exists);
            managed.AddRange(Files(package.Value, "runtime").Select(asset => Path.Combine(packageRoot, asset)));
            if (package.Value.TryGetProperty("runtimeTargets", out var targets))
            {
                var here = targets.EnumerateObject().Where(target => Fits(target.Value.GetProperty("rid").GetString()!)).ToArray();
                native.AddRange(here
                    .Where(target => target.Value.GetProperty("assetType").GetString() == "native")
                    .Select(target => Path.GetDirectoryName(Path.Combine(packageRoot, target.Name))!));
            }
        }

        return new RestoredPackages([.. managed], [.. native.Distinct()]);
    }

    private static IEnumerable<string> Files(JsonElement package, string kind) =>
        package.TryGetProperty(kind, out var group)
            ? group.EnumerateObject().Select(asset => asset.Name).Where(name => name.EndsWith(".dll", StringComparison.OrdinalIgnoreCase))
            : [];

    private static bool Fits(string runtime)
    {
        var system = OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";
        return runtime == RuntimeInformation.RuntimeIdentifier
            || runtime == $"{system}-{RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant()}";
    }

    [GeneratedRegex(@"^nuget:\s*(?<name>[A-Za-z0-9_.\-]+)\s*(,\s*(?<version>[A-Za-z0-9_.\-+*\[\]()]+)\s*)?$", RegexOptions.IgnoreCase)]
    private static partial Regex Package();

    [GeneratedRegex(@"NU\d{4}")]
    private static partial Regex ErrorCode();
}
