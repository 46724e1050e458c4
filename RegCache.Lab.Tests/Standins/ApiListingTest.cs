using System.Reflection;
using System.Text.RegularExpressions;

namespace RegCache.Lab.Tests.Standins;

/// <summary>
/// A stand-in shows nothing but members of the package it stands in for, with the same signatures. Its members are kept
/// in <c>standins/PACKAGE/api.txt</c>; after a wanted change, run these tests once with REGCACHE_WRITE_API=1 to write
/// that file anew, and look at what changed.
/// </summary>
public sealed partial class ApiListingTest
{
    /// <summary>The folders under standins/, each named for its package and assembly.</summary>
    public static TheoryData<string> Packages => [.. PackageNames()];

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
        AssertNone(Differences(built, File.ReadAllLines(file)));
    }

    [ExternalFact("reference")]
    public void Listed_members_are_those_of_the_packages()
    {
        var references = Directory.GetFiles(Goldens.ExternalPath("reference")!, "*-api.txt");
        foreach (var package in PackageNames())
        {
            var reference = references.Single(file => File.ReadLines(file).First().Split([' ', ',']).Contains(package));
            AssertNone(Strangers(File.ReadLines(Folder(package, "api.txt")), File.ReadAllLines(reference)));
        }
    }

    private static IEnumerable<string> PackageNames() =>
        Directory.GetDirectories(Folder()).Select(Path.GetFileName).OfType<string>().Order(StringComparer.Ordinal);

    /// <summary>
    /// The lines that the reference does not have, letter by letter. Only of a type's interfaces a stand-in may have
    /// fewer, as it may have fewer members.
    /// </summary>
    private static IEnumerable<string> Strangers(IEnumerable<string> listed, string[] reference)
    {
        var known = reference.Where(line => line.Length > 0 && line[0] is not ('#' or '-')).Select(Bare).ToHashSet(StringComparer.Ordinal);
        var types = known.Where(line => line[0] == 'T').ToDictionary(Owner, StringComparer.Ordinal);
        var cited = reference.SelectMany(line => Identifier().Matches(line)).Select(match => match.Value).ToHashSet(StringComparer.Ordinal);
        return listed.Where(line => !known.Contains(line)).Where(line =>
            types.TryGetValue(Owner(line), out var type)
                ? line[0] != 'T' || !IsPart(line, type)

                // The listings leave out some small types that they cite in signatures; of these only the name can be
                // checked, without the arity, for a generic type is cited with its arguments.
                : !cited.Contains(Owner(line).Split('`')[0]));
    }

    private static bool IsPart(string line, string whole)
    {
        string[] have = line.Split(" < "), may = whole.Split(" < ");
        return have[0] == may[0] && !have[1..].SelectMany(Types).Except(may[1..].SelectMany(Types)).Any();

        static IEnumerable<string> Types(string list) => list.Split(", ");
    }

    private static void AssertNone(IEnumerable<string> lines) => Assert.Equal("", string.Join('\n', lines));

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
