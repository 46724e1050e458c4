using System.Text;

namespace RegCache.Lab.Quantization.Integer;

/// <summary>What the kernels on oneDNN (Native/) can do on this machine.</summary>
public static unsafe class OneDnn
{
    private const int TextLength = 512;

    private static readonly Lazy<OneDnnSupport> _support = new(Ask);

    /// <summary>What there is; asked once.</summary>
    public static OneDnnSupport Support => _support.Value;

    private static OneDnnSupport Ask()
    {
        // libtorch comes first: its loader settles how OpenMP's threads wait.
        _ = torch.get_num_threads();
        try
        {
            return new(
                Text((text, capacity) => Native.rc_describe((byte*)text, capacity)),
                Problem(Factors.Float),
                Problem(Factors.Bfloat),
                Problem(Factors.Bytes));
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException)
        {
            const string Missing = "the kernels on oneDNN are not built: install libdnnl-dev and g++ and build again (./lab setup)";
            return new(null, Missing, Missing, Missing);
        }
    }

    private static string? Problem(Factors factors) =>
        Text((text, capacity) => Native.rc_problem(factors, (byte*)text, capacity)) is { Length: > 0 } problem ? problem : null;

    private static string Text(Func<nint, int, int> write)
    {
        var buffer = stackalloc byte[TextLength];
        return write((nint)buffer, TextLength) == Native.Succeeded
            ? Encoding.UTF8.GetString(System.Runtime.InteropServices.MemoryMarshal.CreateReadOnlySpanFromNullTerminated(buffer))
            : Native.LastError;
    }
}
