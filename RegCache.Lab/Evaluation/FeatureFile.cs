using System.Text;
using System.Text.Json;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// Files of <see cref="FeatureExtraction"/>'s arrays: safetensors, which hold any number of arrays, with the manifest in the metadata;
/// or NumPy's <c>.npy</c>, which holds one, with the manifest in a JSON file beside it.
/// </summary>
public static class FeatureFile
{
    private const string Safetensors = ".safetensors";
    private const string Numpy = ".npy";

    /// <summary>Refuses a path that <see cref="Write"/> would refuse, before anything is computed.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="UserException">It ends in neither, or it is a folder.</exception>
    public static void RequireKnownEnding(string path)
    {
        if (!IsNumpy(path) && !path.EndsWith(Safetensors, StringComparison.OrdinalIgnoreCase))
        {
            throw new UserException($"The ending of {path} says no format: {Numpy} holds one array, {Safetensors} any number.");
        }

        if (Directory.Exists(path))
        {
            throw new UserException($"{path} is a folder; name a file.");
        }
    }

    /// <summary>The arrays that the file can hold: <c>.npy</c> goes without positions and sizes of tokens, which nobody asks for by name.</summary>
    /// <param name="path">The file.</param>
    /// <param name="arrays">The arrays.</param>
    /// <param name="progress">Told what is left out.</param>
    public static IReadOnlyList<NamedArray> Fitting(string path, IReadOnlyList<NamedArray> arrays, IWorkProgress progress)
    {
        NamedArray[] surplus = !IsNumpy(path) ? [] : [.. arrays.Where(array => FeatureExtraction.IsAboutTokens(array.Name))];
        if (surplus.Length > 0)
        {
            progress.Message($"Left out of {path}, which holds one array: {string.Join(", ", surplus.Select(array => array.Name))}; a file that ends in {Safetensors} has them.");
        }

        return [.. arrays.Except(surplus)];
    }

    /// <summary>Refuses a file that cannot hold as many arrays, before anything is computed.</summary>
    /// <exception cref="UserException">It is <c>.npy</c>, and there are several.</exception>
    public static void RequireRoom(string path, int arrays)
    {
        if (IsNumpy(path) && arrays > 1)
        {
            throw new UserException($"{path} can hold one array, not {arrays}: choose a name that ends in {Safetensors}, or fewer arrays.");
        }
    }

    /// <summary>Writes arrays and their manifest; the ending of the path decides how. Files appear only when they are complete.</summary>
    /// <param name="path">The file.</param>
    /// <param name="arrays">The arrays.</param>
    /// <param name="manifest">What they are.</param>
    /// <returns>The files.</returns>
    /// <exception cref="UserException">The ending says no format, <c>.npy</c> is asked to hold several arrays, or a file cannot be written.</exception>
    public static IReadOnlyList<string> Write(string path, IReadOnlyList<NamedArray> arrays, FeatureManifest manifest)
    {
        RequireKnownEnding(path);
        WeightEntry[] entries = [.. arrays.Select(array => WeightEntry.FromTensor(array.Name, array.Values.contiguous()))];
        if (!IsNumpy(path))
        {
            SafetensorsWriter.Write(path, entries, manifest.ToMetadata());
            return [path];
        }

        RequireRoom(path, entries.Length);
        var sidecar = $"{path}.json";
        NumpyFile.Write(path, entries.Single());
        try
        {
            AtomicFile.Write(sidecar, stream => JsonSerializer.Serialize(stream, manifest, ReportJson.Options));
        }
        catch
        {
            // An array of which nobody knows what it is would be half of the result.
            File.Delete(path);
            throw;
        }

        return [path, sidecar];
    }

    private static bool IsNumpy(string path) => path.EndsWith(Numpy, StringComparison.OrdinalIgnoreCase);
}

/// <summary>What the arrays of a file are and where they come from.</summary>
/// <param name="Arrays">What each array is, by its name.</param>
/// <param name="Images">The images in the order of the rows: paths, members of sets, <c>-</c> for standard input.</param>
/// <param name="Texts">The texts in the order of the rows.</param>
/// <param name="Classes">The classes in the order of the columns of <c>class_logits</c>.</param>
/// <param name="Model">The model's name.</param>
/// <param name="ModelSha256">SHA-256 of its weights.</param>
/// <param name="Architecture">Its architecture, with the activation.</param>
/// <param name="Assumptions">What its files do not tell and was assumed.</param>
/// <param name="Preprocessing">How images became input.</param>
/// <param name="Plan">How the image encoder ran; the text encoder runs as trained.</param>
/// <param name="Execution">How layers were carried out, the number format and the device.</param>
/// <param name="BatchSize">Images in a batch; ranges that are taken from batches depend on it.</param>
/// <param name="CommandLine">What was asked for.</param>
/// <param name="Time">When.</param>
/// <param name="Versions">Versions of the kit and its libraries.</param>
public sealed record FeatureManifest(
    IReadOnlyDictionary<string, string> Arrays,
    IReadOnlyList<string> Images,
    IReadOnlyList<string> Texts,
    IReadOnlyList<string> Classes,
    string Model,
    string ModelSha256,
    string Architecture,
    IReadOnlyList<string> Assumptions,
    string Preprocessing,
    string Plan,
    string Execution,
    int BatchSize,
    string CommandLine,
    DateTimeOffset Time,
    IReadOnlyDictionary<string, string> Versions)
{
    /// <summary>The manifest as metadata of safetensors: texts as they are, everything else as JSON.</summary>
    public IReadOnlyDictionary<string, string> ToMetadata() => JsonSerializer.SerializeToElement(this, ReportJson.Options)
        .EnumerateObject()
        .ToDictionary(
            property => property.Name,
            property => property.Value.ValueKind == JsonValueKind.String ? property.Value.GetString()! : Encoding.UTF8.GetString(ReportJson.Canonical(property.Value)));
}
