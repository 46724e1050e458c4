using System.Reflection;
using System.Text.RegularExpressions;
using Xunit.Abstractions;

namespace RegCache.Lab.Tests.Standins;

/// <summary>
/// A stand-in shows nothing but members of the package it stands in for, with the same signatures. Its members are kept
/// in <c>standins/PACKAGE/api.txt</c>; after a wanted change, run these tests once with REGCACHE_WRITE_API=1 to write
/// that file anew, and look at what changed.
/// </summary>
public sealed partial class ApiListingTest(ITestOutputHelper output)
{
    /// <summary>The folders under standins/, each named for its package and assembly.</summary>
    public static TheoryData<string> Packages =>
        [.. Directory.GetDirectories(Folder()).Select(Path.GetFileName).OfType<string>().Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Packages))]
    public void Assembly_shows_what_its_list_says(string package)
    {
        var built = ApiListing.Of(Assembly.Load(package));
        var file = Folder(package, "api.txt");
        if (Environment.GetEnvironmentVariable("REGCACHE_WRITE_API") == "1")
        {
            File.WriteAllLines(file, built);
        }

        Assert.True(File.Exists(file), $"{file} is missing; run this test with REGCACHE_WRITE_API=1 to write it.");
        var listed = File.ReadAllLines(file);
        Assert.Empty(Differences(built, listed));
    }

    [Theory]
    [MemberData(nameof(Packages))]
    public void Listed_members_are_those_of_the_package(string package)
    {
        var references = Goldens.ExternalPath("reference") is { } folder ? Directory.GetFiles(folder, "*-api.txt") : [];
        if (references.FirstOrDefault(file => File.ReadLines(file).First().Contains($" {package} ", StringComparison.Ordinal)) is not { } reference)
        {
            output.WriteLine($"Not compared: no listing of {package} lies in shared/reference beside the repository.");
            return;
        }

        var text = File.ReadAllLines(reference);
        var known = text.Where(line => line.Length > 0 && line[0] is not ('#' or '-')).Select(Bare).ToHashSet(StringComparer.Ordinal);
        var types = known.Where(line => line[0] == 'T').Select(line => line[2..line.IndexOf(' ', StringComparison.Ordinal)]).ToHashSet(StringComparer.Ordinal);
        var cited = text.SelectMany(line => Identifier().Matches(line)).Select(match => match.Value).ToHashSet(StringComparer.Ordinal);

        // The listings leave out some small types that they cite in signatures; of these only the name can be checked.
        bool IsUnlisted(string line) => Owner(line) is var owner && !types.Contains(owner) && cited.Contains(owner);

        Assert.DoesNotContain(File.ReadLines(Folder(package, "api.txt")), line => !known.Contains(line) && !IsUnlisted(line));
    }

    /// <summary>The lines that only one of the two has, each with the sign of a diff.</summary>
    private static IEnumerable<string> Differences(IEnumerable<string> built, IEnumerable<string> listed) =>
        built.Except(listed).Select(line => "+ " + line).Concat(listed.Except(built).Select(line => "- " + line));

    /// <summary>A line of a listing without its marker and its note about an older version.</summary>
    private static string Bare(string line) => Note().Replace(Marker().Replace(line, ""), "").TrimEnd();

    /// <summary>The type that a line describes, or whose member it describes.</summary>
    private static string Owner(string line)
    {
        var end = line.IndexOfAny([' ', '(']);
        var id = line[2..end];
        return line[0] == 'T' ? id : id[..id.LastIndexOf('.')];
    }

    private static string Folder(params string[] parts) => Path.Combine([Goldens.RepositoryRoot, "standins", .. parts]);

    [GeneratedRegex(@"^[=~+] ")]
    private static partial Regex Marker();

    [GeneratedRegex(@"\s+\[[0-9.]+: .*\]$")]
    private static partial Regex Note();

    [GeneratedRegex(@"[A-Za-z_][\w.`]*")]
    private static partial Regex Identifier();
}
