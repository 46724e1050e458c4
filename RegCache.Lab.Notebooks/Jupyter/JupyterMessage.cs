using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RegCache.Lab.Notebooks.Jupyter;

/// <summary>One message of the Jupyter messaging protocol.</summary>
/// <param name="Identities">The route: whom a reply goes to; on the output channel the topic.</param>
/// <param name="Header">Identifier, session, type and version.</param>
/// <param name="Parent">The header of the message that this one answers; empty where there is none.</param>
/// <param name="Content">What the message says.</param>
internal sealed record JupyterMessage(IReadOnlyList<byte[]> Identities, JsonObject Header, JsonObject Parent, JsonObject Content)
{
    /// <summary>The protocol that the kernel speaks.</summary>
    public const string ProtocolVersion = "5.3";

    /// <summary>What the sender says beside it.</summary>
    public JsonObject Metadata { get; init; } = [];

    public string Type => Text(Header, "msg_type") ?? string.Empty;

    /// <summary>A message of a session.</summary>
    public static JupyterMessage Create(string session, string type, JsonObject? parent, JsonObject content, IReadOnlyList<byte[]> identities) =>
        new(
            identities,
            new JsonObject
            {
                ["msg_id"] = Guid.NewGuid().ToString("N"),
                ["session"] = session,
                ["username"] = "kernel",
                ["date"] = DateTime.UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture),
                ["msg_type"] = type,
                ["version"] = ProtocolVersion,
            },
            parent ?? [],
            content);

    public static string? Text(JsonObject json, string name) =>
        json[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    public static bool Flag(JsonObject json, string name, bool otherwise) =>
        json[name] is JsonValue value && value.TryGetValue<bool>(out var flag) ? flag : otherwise;

    public static int Number(JsonObject json, string name, int otherwise) =>
        json[name] is JsonValue value && value.TryGetValue<int>(out var number) ? number : otherwise;
}

/// <summary>Messages as the frames of the wire, signed with HMAC-SHA256.</summary>
internal sealed class MessageCodec(string key)
{
    private static readonly byte[] Delimiter = "<IDS|MSG>"u8.ToArray();
    private static readonly JsonSerializerOptions Written = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonDocumentOptions Limits = new() { MaxDepth = 64, AllowDuplicateProperties = false };
    private readonly byte[] _key = Encoding.UTF8.GetBytes(key);

    public List<byte[]> Encode(JupyterMessage message)
    {
        byte[][] parts = [Bytes(message.Header), Bytes(message.Parent), Bytes(message.Metadata), Bytes(message.Content)];
        return [.. message.Identities, Delimiter, Encoding.ASCII.GetBytes(Sign(parts)), .. parts];
    }

    /// <summary>Reads a message; null where it is malformed or its signature is wrong. Nothing of it is read before that is checked.</summary>
    public JupyterMessage? Decode(byte[][] frames)
    {
        var delimiter = Array.FindIndex(frames, frame => frame.AsSpan().SequenceEqual(Delimiter));
        if (delimiter < 0 || frames.Length < delimiter + 6)
        {
            return null;
        }

        var parts = frames[(delimiter + 2)..(delimiter + 6)];
        if (!CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(Sign(parts)), frames[delimiter + 1]))
        {
            return null;
        }

        try
        {
            return Parse(parts[0]) is { } header && Parse(parts[1]) is { } parent && Parse(parts[2]) is { } metadata && Parse(parts[3]) is { } content
                && JupyterMessage.Text(header, "msg_type") is not null
                ? new JupyterMessage(frames[..delimiter], header, parent, content) { Metadata = metadata }
                : null;
        }
        catch (Exception exception) when (exception is JsonException or ArgumentException)
        {
            // Not JSON, or an object with the same name twice.
            return null;
        }
    }

    private static byte[] Bytes(JsonObject json) => Encoding.UTF8.GetBytes(json.ToJsonString(Written));

    private static JsonObject? Parse(byte[] part) => JsonNode.Parse(part, documentOptions: Limits) as JsonObject;

    private string Sign(byte[][] parts)
    {
        using var hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _key);
        foreach (var part in parts)
        {
            hash.AppendData(part);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
