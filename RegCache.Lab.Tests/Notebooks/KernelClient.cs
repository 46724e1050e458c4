using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using RegCache.Lab.Notebooks.Jupyter;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>A kernel in this process, and a front end for it that speaks the protocol over libzmq.</summary>
internal sealed class KernelClient : IDisposable
{
    private const int PatienceMilliseconds = 120_000;
    private readonly ZmqContext _context = new();
    private readonly MessageCodec _codec;
    private readonly ZmqSocket _shell;
    private readonly ZmqSocket _control;
    private readonly ZmqSocket _stdin;
    private readonly ZmqSocket _outputs;
    private readonly ZmqSocket _heartbeat;

    public KernelClient()
    {
        Connection = new ConnectionFile("tcp", "127.0.0.1", FreePort(), FreePort(), FreePort(), FreePort(), FreePort(), "secret");
        _codec = new MessageCodec(Connection.Key);
        Kernel = JupyterKernel.RunAsync(Connection, CancellationToken.None);
        _shell = Open(ZeroMq.Dealer, Connection.ShellPort);
        _control = Open(ZeroMq.Dealer, Connection.ControlPort);
        _stdin = Open(ZeroMq.Dealer, Connection.StdinPort);
        _heartbeat = Open(ZeroMq.Req, Connection.HeartbeatPort);
        _outputs = Open(ZeroMq.Sub, Connection.IoPubPort);
        _outputs.SetOption(ZeroMq.OptionSubscribe, []);
        WaitUntilSubscribed();
    }

    public ConnectionFile Connection { get; }

    /// <summary>Ends when the kernel has.</summary>
    public Task Kernel { get; }

    /// <summary>Sends a request and takes its reply.</summary>
    public JsonObject Ask(string type, JsonObject content, bool onControl = false)
    {
        var id = Send(type, content, onControl);
        return Reply(id, onControl);
    }

    public string Send(string type, JsonObject content, bool onControl = false)
    {
        var message = JupyterMessage.Create("client", type, null, content, []);
        (onControl ? _control : _shell).Send(_codec.Encode(message));
        return JupyterMessage.Text(message.Header, "msg_id")!;
    }

    /// <summary>Sends frames as they are.</summary>
    public void SendRaw(params byte[][] frames) => _shell.Send(frames);

    /// <summary>The frames of a good message.</summary>
    public byte[][] Frames(string type, JsonObject content) => [.. _codec.Encode(JupyterMessage.Create("client", type, null, content, []))];

    /// <summary>The frames of a message with a good signature, whatever its parts say.</summary>
    public byte[][] Signed(string header, string content)
    {
        byte[][] parts = [Encoding.UTF8.GetBytes(header), "{}"u8.ToArray(), "{}"u8.ToArray(), Encoding.UTF8.GetBytes(content)];
        var signature = HMACSHA256.HashData(Encoding.UTF8.GetBytes(Connection.Key), parts.SelectMany(part => part).ToArray());
        return ["<IDS|MSG>"u8.ToArray(), Encoding.ASCII.GetBytes(Convert.ToHexStringLower(signature)), .. parts];
    }

    public JsonObject Reply(string id, bool onControl = false)
    {
        while (true)
        {
            var message = Receive(onControl ? _control : _shell);
            if (JupyterMessage.Text(message.Parent, "msg_id") == id)
            {
                return message.Content;
            }
        }
    }

    /// <summary>Runs a cell: its reply and its outputs up to the kernel's rest.</summary>
    public (JsonObject Reply, List<JupyterMessage> Outputs) Run(string code, params (string Name, JsonNode Value)[] options)
    {
        var content = new JsonObject { ["code"] = code };
        foreach (var (name, value) in options)
        {
            content[name] = value;
        }

        var id = Send("execute_request", content);
        return (Reply(id), Outputs(id));
    }

    public List<JupyterMessage> Outputs(string id)
    {
        var outputs = new List<JupyterMessage>();
        while (true)
        {
            var message = Receive(_outputs);
            if (JupyterMessage.Text(message.Parent, "msg_id") != id)
            {
                continue;
            }

            outputs.Add(message);
            if (message.Type == "status" && JupyterMessage.Text(message.Content, "execution_state") == "idle")
            {
                return outputs;
            }
        }
    }

    public void AnswerInput(string value)
    {
        var question = Receive(_stdin);
        Assert.Equal("input_request", question.Type);
        _stdin.Send(_codec.Encode(JupyterMessage.Create("client", "input_reply", question.Header.DeepClone() as JsonObject, new JsonObject { ["value"] = value }, [])));
    }

    public byte[] Beat(byte[] ping)
    {
        _heartbeat.Send([ping]);
        return _heartbeat.Receive(wait: true)![0];
    }

    public void Dispose()
    {
        if (!Kernel.IsCompleted)
        {
            Send("shutdown_request", new JsonObject { ["restart"] = false }, onControl: true);
            Kernel.Wait(TimeSpan.FromSeconds(30));
        }

        foreach (var socket in new[] { _shell, _control, _stdin, _outputs, _heartbeat })
        {
            socket.SetOption(ZeroMq.OptionLinger, 0);
            socket.Dispose();
        }

        _context.Dispose();
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private ZmqSocket Open(int type, int port)
    {
        var socket = new ZmqSocket(_context, type);
        if (type == ZeroMq.Dealer)
        {
            socket.SetOption(ZeroMq.OptionIdentity, "client"u8);
        }

        socket.SetOption(ZeroMq.OptionReceiveTimeout, PatienceMilliseconds);
        socket.Connect(Connection.Address(port));
        return socket;
    }

    private JupyterMessage Receive(ZmqSocket socket)
    {
        var frames = socket.Receive(wait: true) ?? throw new TimeoutException("The kernel says nothing.");
        return _codec.Decode(frames) ?? throw new InvalidDataException("The kernel's message is not good.");
    }

    // A subscription takes a moment to arrive; what is published before it is lost.
    private void WaitUntilSubscribed()
    {
        _outputs.SetOption(ZeroMq.OptionReceiveTimeout, 200);
        for (var attempt = 0; attempt < 300; attempt++)
        {
            var id = Send("kernel_info_request", []);
            Reply(id);
            if (_outputs.Receive(wait: true) is not null)
            {
                break;
            }
        }

        while (_outputs.Receive(wait: true) is not null)
        {
        }

        _outputs.SetOption(ZeroMq.OptionReceiveTimeout, PatienceMilliseconds);
    }
}
