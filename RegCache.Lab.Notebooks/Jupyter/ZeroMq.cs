using System.Runtime.InteropServices;

namespace RegCache.Lab.Notebooks.Jupyter;

/// <summary>The functions of the system's libzmq that the kernel uses.</summary>
internal static partial class ZeroMq
{
    public const int Pair = 0;
    public const int Pub = 1;
    public const int Sub = 2;
    public const int Req = 3;
    public const int Rep = 4;
    public const int Dealer = 5;
    public const int Router = 6;

    public const int OptionIdentity = 5;
    public const int OptionSubscribe = 6;
    public const int OptionReceiveMore = 13;
    public const int OptionLinger = 17;
    public const int OptionLargestMessage = 22;
    public const int OptionSendHighWater = 23;
    public const int OptionReceiveTimeout = 27;
    public const int OptionIPv6 = 42;

    public const int DontWait = 1;
    public const int SendMore = 2;
    public const short PollIn = 1;

    public const int ErrorInterrupted = 4;

    private const string Library = "zmq";

    static ZeroMq() => NativeLibrary.SetDllImportResolver(typeof(ZeroMq).Assembly, static (name, assembly, search) =>
    {
        if (name != Library)
        {
            return 0;
        }

        foreach (var file in new[] { "libzmq.so.5", "libzmq.5.dylib", "libzmq" })
        {
            if (NativeLibrary.TryLoad(file, assembly, search, out var handle))
            {
                return handle;
            }
        }

        return 0;
    });

    /// <summary>Whether the library is there.</summary>
    /// <exception cref="UserException">It is not.</exception>
    public static void Require()
    {
        try
        {
            Version(out _, out _, out _);
        }
        catch (DllNotFoundException exception)
        {
            throw new UserException("The Jupyter kernel needs libzmq 4 (Debian: apt-get install libzmq5); install it.", exception);
        }
    }

    [LibraryImport(Library, EntryPoint = "zmq_version")]
    public static partial void Version(out int major, out int minor, out int patch);

    [LibraryImport(Library, EntryPoint = "zmq_ctx_new")]
    public static partial nint NewContext();

    [LibraryImport(Library, EntryPoint = "zmq_ctx_term")]
    public static partial int TerminateContext(nint context);

    [LibraryImport(Library, EntryPoint = "zmq_ctx_shutdown")]
    public static partial int ShutdownContext(nint context);

    [LibraryImport(Library, EntryPoint = "zmq_socket", SetLastError = true)]
    public static partial nint NewSocket(nint context, int type);

    [LibraryImport(Library, EntryPoint = "zmq_close")]
    public static partial int Close(nint socket);

    [LibraryImport(Library, EntryPoint = "zmq_bind", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Bind(nint socket, string address);

    [LibraryImport(Library, EntryPoint = "zmq_connect", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Connect(nint socket, string address);

    [LibraryImport(Library, EntryPoint = "zmq_setsockopt", SetLastError = true)]
    public static partial int SetOption(nint socket, int option, ReadOnlySpan<byte> value, nuint length);

    [LibraryImport(Library, EntryPoint = "zmq_getsockopt", SetLastError = true)]
    public static partial int GetOption(nint socket, int option, ref int value, ref nuint length);

    [LibraryImport(Library, EntryPoint = "zmq_send", SetLastError = true)]
    public static partial int Send(nint socket, ReadOnlySpan<byte> data, nuint length, int flags);

    [LibraryImport(Library, EntryPoint = "zmq_msg_init")]
    public static partial int InitMessage(ref Frame message);

    [LibraryImport(Library, EntryPoint = "zmq_msg_recv", SetLastError = true)]
    public static partial int Receive(ref Frame message, nint socket, int flags);

    [LibraryImport(Library, EntryPoint = "zmq_msg_data")]
    public static partial nint FrameData(ref Frame message);

    [LibraryImport(Library, EntryPoint = "zmq_msg_size")]
    public static partial nuint FrameSize(ref Frame message);

    [LibraryImport(Library, EntryPoint = "zmq_msg_close")]
    public static partial int CloseMessage(ref Frame message);

    [LibraryImport(Library, EntryPoint = "zmq_poll", SetLastError = true)]
    public static partial int Poll(Span<PollItem> items, int count, nint timeout);

    [LibraryImport(Library, EntryPoint = "zmq_strerror")]
    public static partial nint ErrorText(int error);

    /// <summary>libzmq's opaque message, 64 bytes.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 64)]
    internal struct Frame
    {
        private nint _first;
    }

    /// <summary>A socket to be watched.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct PollItem
    {
        public nint Socket;
        public int FileDescriptor;
        public short Events;
        public short Returned;
    }
}
