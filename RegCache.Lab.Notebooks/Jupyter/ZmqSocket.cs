using System.Runtime.InteropServices;

namespace RegCache.Lab.Notebooks.Jupyter;

/// <summary>One socket of libzmq; to be used by one thread.</summary>
internal sealed class ZmqSocket : IDisposable
{
    private const int LargestFrame = 64 << 20;
    private const int MostFrames = 64;
    private const int LingerMilliseconds = 1000;
    private nint _handle;

    public ZmqSocket(ZmqContext context, int type)
    {
        _handle = ZeroMq.NewSocket(context.Handle, type);
        Check(_handle == 0 ? -1 : 0, "A socket cannot be made");
        SetOption(ZeroMq.OptionLinger, LingerMilliseconds);
        SetOption(ZeroMq.OptionSendHighWater, 0);
        Check(ZeroMq.SetOption(_handle, ZeroMq.OptionLargestMessage, BitConverter.GetBytes((long)LargestFrame), sizeof(long)), "A socket cannot be set");
    }

    public nint Handle => _handle;

    public void SetOption(int option, int value) =>
        Check(ZeroMq.SetOption(_handle, option, BitConverter.GetBytes(value), sizeof(int)), "A socket cannot be set");

    public void SetOption(int option, ReadOnlySpan<byte> value) =>
        Check(ZeroMq.SetOption(_handle, option, value, (nuint)value.Length), "A socket cannot be set");

    /// <exception cref="UserException">The address is in use, or cannot be used.</exception>
    public void Bind(string address)
    {
        if (address.Contains('[', StringComparison.Ordinal))
        {
            SetOption(ZeroMq.OptionIPv6, 1);
        }

        Check(ZeroMq.Bind(_handle, address), $"The kernel cannot listen on {address}");
    }

    public void Connect(string address) => Check(ZeroMq.Connect(_handle, address), $"There is no connection to {address}");

    /// <summary>Sends the frames of one message. What cannot be delivered (the peer is gone) is dropped. The runtime's own signals
    /// interrupt calls; those are made again, for a message of which a frame is missing would spoil the next.</summary>
    public void Send(IReadOnlyList<byte[]> frames)
    {
        for (var index = 0; index < frames.Count; index++)
        {
            var more = index + 1 < frames.Count ? ZeroMq.SendMore : 0;
            while (ZeroMq.Send(_handle, frames[index], (nuint)frames[index].Length, more) < 0)
            {
                if (Marshal.GetLastPInvokeError() != ZeroMq.ErrorInterrupted)
                {
                    return;
                }
            }
        }
    }

    /// <summary>Receives the frames of one message; null where there is none now or the context has ended. A message of too many frames is
    /// read and given back empty.</summary>
    public byte[][]? Receive(bool wait)
    {
        var frames = new List<byte[]>();
        var count = 0;
        do
        {
            if (ReceiveFrame(wait ? 0 : ZeroMq.DontWait) is not { } frame)
            {
                return null;
            }

            if (++count <= MostFrames)
            {
                frames.Add(frame);
            }
        }
        while (HasMore());
        return count > MostFrames ? [] : [.. frames];
    }

    public void Dispose()
    {
        if (_handle != 0)
        {
            _ = ZeroMq.Close(_handle);
            _handle = 0;
        }
    }

    private static void Check(int result, string what)
    {
        if (result < 0)
        {
            throw new UserException($"{what}: {Marshal.PtrToStringUTF8(ZeroMq.ErrorText(Marshal.GetLastPInvokeError()))}.");
        }
    }

    private byte[]? ReceiveFrame(int flags)
    {
        ZeroMq.Frame message = default;
        _ = ZeroMq.InitMessage(ref message);
        try
        {
            while (ZeroMq.Receive(ref message, _handle, flags) < 0)
            {
                if (Marshal.GetLastPInvokeError() != ZeroMq.ErrorInterrupted)
                {
                    return null;
                }
            }

            var bytes = new byte[checked((int)ZeroMq.FrameSize(ref message))];
            Marshal.Copy(ZeroMq.FrameData(ref message), bytes, 0, bytes.Length);
            return bytes;
        }
        finally
        {
            _ = ZeroMq.CloseMessage(ref message);
        }
    }

    private bool HasMore()
    {
        var more = 0;
        nuint length = sizeof(int);
        return ZeroMq.GetOption(_handle, ZeroMq.OptionReceiveMore, ref more, ref length) == 0 && more != 0;
    }
}
