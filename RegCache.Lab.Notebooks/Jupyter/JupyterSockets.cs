using System.Collections.Concurrent;

namespace RegCache.Lab.Notebooks.Jupyter;

/// <summary>The kernel's five sockets. One thread owns them, a second the heartbeat; messages go out through a queue, from any thread.</summary>
internal sealed class JupyterSockets : IDisposable
{
    private const string WakeAddress = "inproc://wake";
    private const int LongestWait = 1000;
    private readonly ZmqContext _context = new();
    private readonly MessageCodec _codec;
    private readonly ConcurrentQueue<(ZmqSocket Socket, List<byte[]> Frames)> _outgoing = [];
    private readonly Action<JupyterChannel, JupyterMessage> _received;
    private readonly Dictionary<JupyterChannel, ZmqSocket> _sockets = [];
    private readonly ZmqSocket _wakeReceiver;
    private readonly ZmqSocket _wakeSender;
    private readonly Lock _wakeGate = new();
    private readonly Thread _messages;
    private readonly Thread _heartbeat;
    private volatile bool _stopping;

    /// <exception cref="UserException">An address cannot be used.</exception>
    public JupyterSockets(ConnectionFile connection, Action<JupyterChannel, JupyterMessage> received)
    {
        _codec = new MessageCodec(connection.Key);
        _received = received;
        var heartbeat = new ZmqSocket(_context, ZeroMq.Rep);
        try
        {
            Open(JupyterChannel.Shell, ZeroMq.Router, connection.Address(connection.ShellPort));
            Open(JupyterChannel.Control, ZeroMq.Router, connection.Address(connection.ControlPort));
            Open(JupyterChannel.Stdin, ZeroMq.Router, connection.Address(connection.StdinPort));
            Open(JupyterChannel.IoPub, ZeroMq.Pub, connection.Address(connection.IoPubPort));
            heartbeat.Bind(connection.Address(connection.HeartbeatPort));
            _wakeReceiver = new ZmqSocket(_context, ZeroMq.Pair);
            _wakeReceiver.Bind(WakeAddress);
            _wakeSender = new ZmqSocket(_context, ZeroMq.Pair);
            _wakeSender.Connect(WakeAddress);
        }
        catch
        {
            heartbeat.Dispose();
            Close();
            throw;
        }

        _messages = new Thread(Pump) { IsBackground = true, Name = "messages" };
        _heartbeat = new Thread(() => Echo(heartbeat)) { IsBackground = true, Name = "heartbeat" };
        _messages.Start();
        _heartbeat.Start();
    }

    public void Send(JupyterChannel channel, JupyterMessage message)
    {
        _outgoing.Enqueue((_sockets[channel], _codec.Encode(message)));
        Wake();
    }

    /// <summary>Sends what waits and closes the sockets.</summary>
    public void Dispose()
    {
        _stopping = true;
        Wake();
        _messages.Join();
        _context.Shutdown();
        _heartbeat.Join();
        Close();
    }

    private static void Echo(ZmqSocket socket)
    {
        using (socket)
        {
            while (socket.Receive(wait: true) is { } frames)
            {
                socket.Send(frames);
            }
        }
    }

    private void Open(JupyterChannel channel, int type, string address)
    {
        _sockets[channel] = new ZmqSocket(_context, type);
        _sockets[channel].Bind(address);
    }

    private void Wake()
    {
        lock (_wakeGate)
        {
            if (_wakeSender.Handle != 0)
            {
                _wakeSender.Send([[]]);
            }
        }
    }

    private void Pump()
    {
        JupyterChannel[] incoming = [JupyterChannel.Control, JupyterChannel.Shell, JupyterChannel.Stdin];
        var items = new ZeroMq.PollItem[incoming.Length + 1];
        for (var index = 0; index < incoming.Length; index++)
        {
            items[index] = new ZeroMq.PollItem { Socket = _sockets[incoming[index]].Handle, Events = ZeroMq.PollIn };
        }

        items[^1] = new ZeroMq.PollItem { Socket = _wakeReceiver.Handle, Events = ZeroMq.PollIn };
        while (true)
        {
            _ = ZeroMq.Poll(items, items.Length, LongestWait);
            while (_wakeReceiver.Receive(wait: false) is not null)
            {
            }

            while (_outgoing.TryDequeue(out var message))
            {
                message.Socket.Send(message.Frames);
            }

            if (_stopping)
            {
                return;
            }

            foreach (var channel in incoming)
            {
                if (_sockets[channel].Receive(wait: false) is { } frames && _codec.Decode(frames) is { } message)
                {
                    _received(channel, message);
                }
            }
        }
    }

    private void Close()
    {
        foreach (var socket in _sockets.Values)
        {
            socket.Dispose();
        }

        lock (_wakeGate)
        {
            _wakeSender?.Dispose();
            _wakeReceiver?.Dispose();
        }

        _context.Dispose();
    }
}

/// <summary>A channel of the messaging protocol.</summary>
internal enum JupyterChannel
{
    /// <summary>Requests, answered in order.</summary>
    Shell,

    /// <summary>Requests that overtake those of the shell.</summary>
    Control,

    /// <summary>Questions of the kernel to the person.</summary>
    Stdin,

    /// <summary>Outputs, to every front end.</summary>
    IoPub,
}
