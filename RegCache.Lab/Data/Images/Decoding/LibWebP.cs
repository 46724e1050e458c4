using System.Runtime.InteropServices;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>The part of the system's libwebp that decoding needs.</summary>
internal sealed unsafe class LibWebP
{
    private const int DecoderAbiVersion = 0x0209;
    private static readonly Lazy<LibWebP?> Loaded = new(Load);

    private readonly delegate* unmanaged<byte*, nuint, Features*, int, int> _getFeatures;
    private readonly delegate* unmanaged<byte*, nuint, byte*, nuint, int, byte*> _decodeRgb;
    private readonly delegate* unmanaged<byte*, nuint, byte*, nuint, int, byte*> _decodeRgba;

    private LibWebP(nint library)
    {
        _getFeatures = (delegate* unmanaged<byte*, nuint, Features*, int, int>)
            NativeLibrary.GetExport(library, "WebPGetFeaturesInternal");
        _decodeRgb = (delegate* unmanaged<byte*, nuint, byte*, nuint, int, byte*>)
            NativeLibrary.GetExport(library, "WebPDecodeRGBInto");
        _decodeRgba = (delegate* unmanaged<byte*, nuint, byte*, nuint, int, byte*>)
            NativeLibrary.GetExport(library, "WebPDecodeRGBAInto");
    }

    /// <summary>The library, or null where the system has none.</summary>
    public static LibWebP? Instance => Loaded.Value;

    /// <summary>Reads the header; the result is 0 or one of libwebp's status codes.</summary>
    public int ReadHeader(ReadOnlySpan<byte> file, out int width, out int height, out bool alpha, out bool animated)
    {
        Features features = default;
        int status;
        fixed (byte* data = file)
        {
            status = _getFeatures(data, (nuint)file.Length, &features, DecoderAbiVersion);
        }

        (width, height) = (features.Width, features.Height);
        (alpha, animated) = (features.HasAlpha != 0, features.HasAnimation != 0);
        return status;
    }

    /// <summary>Decodes into rows that are <paramref name="stride"/> bytes apart; false when the data are damaged.</summary>
    public bool Decode(ReadOnlySpan<byte> file, Span<byte> pixels, int stride, bool alpha)
    {
        fixed (byte* data = file)
        fixed (byte* target = pixels)
        {
            var decode = alpha ? _decodeRgba : _decodeRgb;
            return decode(data, (nuint)file.Length, target, (nuint)pixels.Length, stride) != null;
        }
    }

    private static LibWebP? Load()
    {
        ReadOnlySpan<string> names = OperatingSystem.IsWindows() ? ["libwebp.dll", "webp.dll"]
            : OperatingSystem.IsMacOS() ? ["libwebp.7.dylib", "libwebp.dylib"]
            : ["libwebp.so.7", "libwebp.so"];
        return NativeCodec.TryLoad(names, out var library) ? new LibWebP(library) : null;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Features
    {
        public int Width;
        public int Height;
        public int HasAlpha;
        public int HasAnimation;
        public int Format;
        private fixed uint _reserved[5];
    }
}
