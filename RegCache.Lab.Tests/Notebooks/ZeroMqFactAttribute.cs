using System.Runtime.InteropServices;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>A test that needs libzmq; skipped, with the reason, where it is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ZeroMqFactAttribute : FactAttribute
{
    public ZeroMqFactAttribute()
    {
        if (!NativeLibrary.TryLoad("libzmq.so.5", out _))
        {
            Skip = "libzmq is not installed (Debian: libzmq5).";
        }
    }
}
