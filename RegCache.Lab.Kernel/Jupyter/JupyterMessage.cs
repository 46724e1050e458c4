using System.Globalization;
using System.Text.Json.Nodes;

namespace RegCache.Lab.Kernel.Jupyter;

/// <summary>One message of the Jupyter messaging protocol.</summary>
/// <param name="Identities">The route: whom a reply goes to; on the output channel the topic.</param>
/// <param name="Header">Identifier, session, type and version.</param>
/// <param name="Parent">The header of the message that this one answers; empty where there is none.</param>
/// <param name="Content">What the message says.</param>
internal sealed record JupyterMessage(IReadOnlyList<byte[]> Identities, JsonObject Header, JsonObject Parent, JsonObject Content)
{
    /// <summary>The protocol that the kernel speaks.</summary>
    public const string ProtocolVersion = "5.3";

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
