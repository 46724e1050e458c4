using System.Runtime.InteropServices;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>Finds a system library by the names under which runtime packages install it.</summary>
internal static class NativeCodec
{
    /// <summary>Loads the first library of <paramref name="names"/> that the system has.</summary>
    public static bool TryLoad(ReadOnlySpan<string> names, out nint library)
    {
        foreach (var name in names)
        {
            if (NativeLibrary.TryLoad(name, out library))
            {
                return true;
            }
        }

        library = 0;
        return false;
    }
}
