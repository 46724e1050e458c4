namespace RegCache.Lab.Notebooks.Jupyter;

/// <summary>libzmq's context, which its sockets live in.</summary>
internal sealed class ZmqContext : IDisposable
{
    public ZmqContext()
    {
        ZeroMq.Require();
        Handle = ZeroMq.NewContext();
    }

    public nint Handle { get; private set; }

    /// <summary>Wakes every thread that waits on a socket.</summary>
    public void Shutdown() => _ = ZeroMq.ShutdownContext(Handle);

    public void Dispose()
    {
        if (Handle != 0)
        {
            _ = ZeroMq.TerminateContext(Handle);
            Handle = 0;
        }
    }
}
