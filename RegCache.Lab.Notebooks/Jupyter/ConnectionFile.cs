using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RegCache.Lab.Notebooks.Jupyter;

/// <summary>Where a front end expects its kernel, and the key that signs their messages.</summary>
/// <param name="Ip">The loopback address.</param>
/// <param name="ShellPort">The port of requests.</param>
/// <param name="ControlPort">The port of requests that may overtake.</param>
/// <param name="IoPubPort">The port of outputs.</param>
/// <param name="StdinPort">The port of questions to the person.</param>
/// <param name="HeartbeatPort">The port that echoes.</param>
/// <param name="Key">The key of the signatures (HMAC-SHA256).</param>
public sealed record ConnectionFile(
    string Ip, int ShellPort, int ControlPort, int IoPubPort, int StdinPort, int HeartbeatPort, string Key)
{
    private const int LargestFile = 64 * 1024;

    /// <summary>Reads a connection file.</summary>
    /// <exception cref="UserException">It cannot be read, lacks something, or names an address that other machines can reach.</exception>
    public static ConnectionFile Load(string path)
    {
        try
        {
            var file = new FileInfo(path);
            if (file.Exists && file.Length > LargestFile)
            {
                throw new UserException($"{path} is no connection file: it is larger than {LargestFile / 1024} KB.");
            }

            return Parse(File.ReadAllText(path), path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"The connection file {path} cannot be read: {exception.Message}", exception);
        }
    }

    /// <summary>Reads a connection file's content.</summary>
    /// <param name="text">The JSON.</param>
    /// <param name="name">What to call it in error messages.</param>
    /// <exception cref="UserException">It lacks something, or names an address that other machines can reach.</exception>
    public static ConnectionFile Parse(string text, string name)
    {
        JsonObject json;
        try
        {
            json = JsonNode.Parse(text) as JsonObject ?? throw new UserException($"The connection file {name} holds no JSON object.");
        }
        catch (JsonException exception)
        {
            throw new UserException($"The connection file {name} is not JSON; start the kernel from a Jupyter front end.", exception);
        }

        var transport = Text("transport");
        if (transport != "tcp")
        {
            throw new UserException($"The connection file {name} asks for the transport {transport}; start the front end with tcp.");
        }

        var ip = Text("ip");
        if (!(ip == "localhost" || (IPAddress.TryParse(ip, out var address) && IPAddress.IsLoopback(address))))
        {
            throw new UserException($"The connection file {name} asks to listen on {ip}; the kernel runs whatever it is sent and listens on loopback only: use 127.0.0.1.");
        }

        var scheme = json.ContainsKey("signature_scheme") ? Text("signature_scheme") : "hmac-sha256";
        if (scheme != "hmac-sha256")
        {
            throw new UserException($"The connection file {name} asks for the signature scheme {scheme}; hmac-sha256 is known.");
        }

        var key = Text("key");
        if (key.Length == 0)
        {
            throw new UserException($"The connection file {name} has an empty key; unsigned messages are not accepted, start the front end with a key.");
        }

        return new ConnectionFile(
            ip, Port("shell_port"), Port("control_port"), Port("iopub_port"), Port("stdin_port"), Port("hb_port"), key);

        string Text(string field) => json[field] is JsonValue value && value.TryGetValue<string>(out var found)
            ? found
            : throw new UserException($"The connection file {name} has no text {field}.");

        int Port(string field) => json[field] is JsonValue value && value.TryGetValue<int>(out var port) && port is > 0 and <= ushort.MaxValue
            ? port
            : throw new UserException($"The connection file {name} has no port number {field}.");
    }

    /// <summary>The address of a port.</summary>
    internal string Address(int port) =>
        Ip.Contains(':', StringComparison.Ordinal) ? $"tcp://[{Ip}]:{port}" : $"tcp://{(Ip == "localhost" ? "127.0.0.1" : Ip)}:{port}";
}
