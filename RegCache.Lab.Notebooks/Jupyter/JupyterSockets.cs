using NetMQ;
using NetMQ.Sockets;

namespace RegCache.Lab.Notebooks.Jupyter;

/// <summary>The kernel's five sockets. One thread owns them; messages go out through a queue, from any thread.</summary>
internal sealed class JupyterSockets : IDisposable
{
    private const int LargestFrame = 64 << 20;
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);
    private readonly MessageCodec _codec;
    private readonly Dictionary<JupyterChannel, NetMQSocket> _sockets = [];
    private readonly ResponseSocket _heartbeat = new();
    private readonly NetMQQueue<(JupyterChannel Channel, List<byte[]> Frames)> _outgoing = new();
    private readonly NetMQPoller _poller = [];

    /// <param name="connection">The addresses and the key.</param>
    /// <param name="received">Takes good messages, on the sockets' thread.</param>
    /// <exception cref="UserException">An address cannot be used.</exception>
    public JupyterSockets(ConnectionFile connection, Action<JupyterChannel, JupyterMessage> received)
    {
        _codec = new MessageCodec(connection.Key);
        try
        {
            Listen(_heartbeat, connection.Address(connection.HeartbeatPort));
            _heartbeat.ReceiveReady += (_, beat) => beat.Socket.TrySendMultipartBytes(TimeSpan.Zero, beat.Socket.ReceiveMultipartBytes());
            Open(JupyterChannel.IoPub, new PublisherSocket(), connection.Address(connection.IoPubPort));
            foreach (var (channel, port) in new[]
            {
                (JupyterChannel.Shell, connection.ShellPort), (JupyterChannel.Control, connection.ControlPort), (JupyterChannel.Stdin, connection.StdinPort),
            })
            {
                Open(channel, new RouterSocket(), connection.Address(port));
                _sockets[channel].ReceiveReady += (_, arrived) =>
                {
                    if (_codec.Decode([.. arrived.Socket.ReceiveMultipartBytes()]) is { } message)
                    {
                        received(channel, message);
                    }
                };
            }
        }
        catch
        {
            Close();
            throw;
        }

        _outgoing.ReceiveReady += (_, _) => SendWaiting();
        _poller.Add(_outgoing);
        _poller.Add(_heartbeat);
        foreach (var socket in _sockets.Values)
        {
            _poller.Add(socket);
        }

        _poller.RunAsync("messages", isBackgroundThread: true);
    }

    public void Send(JupyterChannel channel, JupyterMessage message) => _outgoing.Enqueue((channel, _codec.Encode(message)));

    /// <summary>Sends what waits and closes the sockets.</summary>
    public void Dispose()
    {
        _poller.Stop();
        SendWaiting();
        Close();
    }

    private static void Listen(NetMQSocket socket, string address)
    {
        socket.Options.Linger = Linger;
        socket.Options.SendHighWatermark = 0;
        socket.Options.MaxMsgSize = LargestFrame;
        socket.Options.IPv4Only = !address.Contains('[', StringComparison.Ordinal);
        try
        {
            socket.Bind(address);
        }
        catch (Exception exception) when (exception is NetMQException or System.Net.Sockets.SocketException)
        {
            throw new UserException($"The kernel cannot listen on {address}: {exception.Message}", exception);
        }
    }

    private void Open(JupyterChannel channel, NetMQSocket socket, string address)
    {
        _sockets[channel] = socket;
        Listen(socket, address);
    }

    // What cannot be delivered, because the peer is gone, is dropped.
    private void SendWaiting()
    {
        while (_outgoing.TryDequeue(out var message, TimeSpan.Zero))
        {
            _sockets[message.Channel].TrySendMultipartBytes(TimeSpan.Zero, message.Frames);
        }
    }

    private void Close()
    {
        _poller.Dispose();
        _outgoing.Dispose();
        _heartbeat.Dispose();
        foreach (var socket in _sockets.Values)
        {
            socket.Dispose();
        }
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
