using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace RegCache.Lab.Reports;

/// <summary>Where a result comes from; part of every result file.</summary>
/// <param name="Time">When the result was written, with the offset to UTC.</param>
/// <param name="CommandLine">The command line that made it.</param>
/// <param name="Seed">The seed of the run.</param>
/// <param name="Plan">What was run, as text: the encoder plan, quantizer and options.</param>
/// <param name="Models">SHA-256 of every model file, by the file's name.</param>
/// <param name="Data">Fingerprint of every data set, by its role (<c>TRAIN_SAMPLE</c>, ...).</param>
/// <param name="Versions">Versions of the kit, its libraries and the system; see <see cref="KitVersions"/>.</param>
public sealed record Provenance(
    DateTimeOffset Time,
    string CommandLine,
    long Seed,
    string Plan,
    IReadOnlyDictionary<string, string> Models,
    IReadOnlyDictionary<string, string> Data,
    IReadOnlyDictionary<string, string> Versions)
{
    /// <summary>What the data sets held, and what was left out of them.</summary>
    public IReadOnlyList<DataInventory> Inventory { get; init; } = [];

    /// <summary>The architecture of the model as it ran, with its activation.</summary>
    public string Architecture { get; init; } = "";

    /// <summary>What was assumed about the model, as its files do not tell it.</summary>
    public IReadOnlyList<string> Assumptions { get; init; } = [];
}

/// <summary>The versions that a result depends on.</summary>
public static class KitVersions
{
    /// <summary>Kit, TorchSharp, SkiaSharp, .NET runtime and operating system, by name.</summary>
    public static IReadOnlyDictionary<string, string> Current { get; } = new Dictionary<string, string>
    {
        ["regcache"] = VersionOf(typeof(KitVersions).Assembly),
        ["TorchSharp"] = VersionOf(typeof(TorchSharp.torch).Assembly),
        ["SkiaSharp"] = VersionOf(typeof(SkiaSharp.SKCodec).Assembly),
        ["runtime"] = RuntimeInformation.FrameworkDescription,
        ["os"] = RuntimeInformation.OSDescription,
    };

    // The part after '+' names the source commit.
    private static string VersionOf(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
        ?? assembly.GetName().Version?.ToString()
        ?? "unknown";
}

/// <summary>What identifies a model or data file, wherever it lies: the SHA-256 of its bytes.</summary>
public static class ContentHash
{
    private const int ReadSize = 1 << 20;

    /// <summary>The SHA-256 of a value's canonical JSON, 64 lower-case hexadecimal digits; equal values have equal hashes.</summary>
    public static string OfValue<T>(T value) => Convert.ToHexStringLower(SHA256.HashData(ReportJson.Canonical(value)));

    /// <summary>The SHA-256 of a file, 64 lower-case hexadecimal digits.</summary>
    /// <exception cref="UserException">The file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static string OfFile(string path, CancellationToken cancellation = default) => OfFiles([path], cancellation);

    /// <summary>The SHA-256 of files one after the other.</summary>
    /// <exception cref="UserException">A file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static string OfFiles(IReadOnlyList<string> paths, CancellationToken cancellation = default)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[ReadSize];
        foreach (var path in paths)
        {
            try
            {
                using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
                for (int read; (read = stream.Read(buffer)) > 0;)
                {
                    cancellation.ThrowIfCancellationRequested();
                    hash.AppendData(buffer, 0, read);
                }
            }
            catch (Exception exception) when (FileErrors.IsFileError(exception))
            {
                throw FileErrors.ToUserException(exception, $"The file {path} cannot be read");
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
