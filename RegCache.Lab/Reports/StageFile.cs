using System.Security.Cryptography;
using System.Text.Json;

namespace RegCache.Lab.Reports;

/// <summary>
/// The file of a stage's result or checkpoint: the payload with its key and a checksum, so that a part of a file, or one
/// that somebody edited, is never taken for a result.
/// </summary>
internal static class StageFile
{
    private const int CurrentFormat = 1;

    /// <summary>What reading found.</summary>
    internal enum Outcome
    {
        /// <summary>No file.</summary>
        Absent,

        /// <summary>A file that is no complete stage file.</summary>
        Damaged,

        /// <summary>A sound file with another key.</summary>
        OtherKey,

        /// <summary>A sound file with this key.</summary>
        Loaded,
    }

    public static void Write<T>(string path, string stage, StageKey key, T payload)
        where T : notnull
    {
        var element = JsonSerializer.SerializeToElement(payload, ReportJson.Options);
        var envelope = new Envelope(CurrentFormat, stage, key.Hash, key.Inputs, Checksum(element), element);
        AtomicFile.Write(path, stream => JsonSerializer.Serialize(stream, envelope, ReportJson.Options));
    }

    public static Outcome Read<T>(string path, string stage, StageKey key, out T? payload)
        where T : notnull
    {
        payload = default;
        if (!File.Exists(path))
        {
            return Outcome.Absent;
        }

        try
        {
            using var stream = File.OpenRead(path);
            var envelope = JsonSerializer.Deserialize<Envelope>(stream, ReportJson.Options);
            if (envelope is null || envelope.Format != CurrentFormat || envelope.Stage != stage
                || envelope.PayloadSha256 != Checksum(envelope.Payload))
            {
                return Outcome.Damaged;
            }

            if (envelope.Key != key.Hash)
            {
                return Outcome.OtherKey;
            }

            payload = envelope.Payload.Deserialize<T>(ReportJson.Options);
            return payload is null ? Outcome.Damaged : Outcome.Loaded;
        }
        catch (JsonException)
        {
            return Outcome.Damaged;
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The stage file {path} cannot be read");
        }
    }

    private static string Checksum(JsonElement payload) =>
        Convert.ToHexStringLower(SHA256.HashData(ReportJson.Canonical(payload)));

    private sealed record Envelope(
        int Format, string Stage, string Key, JsonElement Inputs, string PayloadSha256, JsonElement Payload);
}
