using System.Text.Json;

namespace RegCache.Lab.Reports;

/// <summary>The final result of a run together with its provenance: <c>result.json</c> of a <see cref="RunDirectory"/>.</summary>
public static class ResultFile
{
    /// <summary>Writes <c>{ "provenance": ..., "result": ... }</c>.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static void Write<T>(string path, Provenance provenance, T result)
        where T : notnull =>
        AtomicFile.Write(
            path,
            stream => JsonSerializer.Serialize(stream, new Content<T>(provenance, result), ReportJson.Options));

    /// <summary>Reads a file that <see cref="Write"/> wrote.</summary>
    /// <exception cref="UserException">There is no such file, it cannot be read, or it is no result of this kind.</exception>
    public static (Provenance Provenance, T Result) Read<T>(string path)
        where T : notnull
    {
        try
        {
            using var stream = File.OpenRead(path);
            var content = JsonSerializer.Deserialize<Content<T>>(stream, ReportJson.Options)
                ?? throw new JsonException("The file holds null.");
            return (content.Provenance, content.Result);
        }
        catch (JsonException exception)
        {
            throw new UserException($"The file {path} is not a result that this version of the kit can read; make it again.", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The result {path} cannot be read");
        }
    }

    private sealed record Content<T>(Provenance Provenance, T Result)
        where T : notnull;
}
