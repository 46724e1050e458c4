using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using NetMQ;
using NetMQ.Sockets;
using RegCache.Lab.Notebooks.Jupyter;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>A kernel in this process, and a front end for it that speaks the protocol over NetMQ.</summary>
internal sealed class KernelClient : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private readonly MessageCodec _codec;
    private readonly DealerSocket _shell;
    private readonly DealerSocket _control;
    private readonly DealerSocket _stdin;
    private readonly SubscriberSocket _outputs;
    private readonly RequestSocket _heartbeat;

    public KernelClient()
    {
        Connection = new ConnectionFile("127.0.0.1", FreePort(), FreePort(), FreePort(), FreePort(), FreePort(), "secret");
        _codec = new MessageCodec(Connection.Key);
        Kernel = JupyterKernel.RunAsync(Connection, CancellationToken.None);
        _shell = Open(new DealerSocket(), Connection.ShellPort);
        _control = Open(new DealerSocket(), Connection.ControlPort);
        _stdin = Open(new DealerSocket(), Connection.StdinPort);
        _heartbeat = Open(new RequestSocket(), Connection.HeartbeatPort);
        _outputs = Open(new SubscriberSocket(), Connection.IoPubPort);
        _outputs.SubscribeToAnyTopic();
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

    public string Send(string type, JsonObject content, bool onControl = false, JsonObject? metadata = null)
    {
        var message = JupyterMessage.Create("client", type, null, content, []) with { Metadata = metadata ?? [] };
        (onControl ? _control : _shell).SendMultipartBytes(_codec.Encode(message));
        return JupyterMessage.Text(message.Header, "msg_id")!;
    }

    /// <summary>Sends frames as they are.</summary>
    public void SendRaw(params byte[][] frames) => _shell.SendMultipartBytes(frames);

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
        _stdin.SendMultipartBytes(_codec.Encode(JupyterMessage.Create("client", "input_reply", question.Header.DeepClone() as JsonObject, new JsonObject { ["value"] = value }, [])));
    }

    public byte[] Beat(byte[] ping)
    {
        _heartbeat.SendFrame(ping);
        return Frames(_heartbeat, Patience)![0];
    }

    public void Dispose()
    {
        if (!Kernel.IsCompleted)
        {
            Send("shutdown_request", new JsonObject { ["restart"] = false }, onControl: true);
            Kernel.Wait(TimeSpan.FromSeconds(30));
        }

        foreach (var socket in new NetMQSocket[] { _shell, _control, _stdin, _outputs, _heartbeat })
        {
            socket.Options.Linger = TimeSpan.Zero;
            socket.Dispose();
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static List<byte[]>? Frames(NetMQSocket socket, TimeSpan patience)
    {
        var frames = new List<byte[]>();
        return socket.TryReceiveMultipartBytes(patience, ref frames) ? frames : null;
    }

    private T Open<T>(T socket, int port)
        where T : NetMQSocket
    {
        if (socket is DealerSocket)
        {
            socket.Options.Identity = "client"u8.ToArray();
        }

        socket.Connect(Connection.Address(port));
        return socket;
    }

    private JupyterMessage Receive(NetMQSocket socket)
    {
        var frames = Frames(socket, Patience) ?? throw new TimeoutException("The kernel says nothing.");
        return _codec.Decode([.. frames]) ?? throw new InvalidDataException("The kernel's message is not good.");
    }

    // A subscription takes a moment to arrive; what is published before it is lost.
    private void WaitUntilSubscribed()
    {
        var moment = TimeSpan.FromMilliseconds(200);
        for (var attempt = 0; attempt < 300; attempt++)
        {
            Ask("kernel_info_request", []);
            if (Frames(_outputs, moment) is not null)
            {
                break;
            }
        }

        while (Frames(_outputs, moment) is not null)
        {
        }
    }
}
