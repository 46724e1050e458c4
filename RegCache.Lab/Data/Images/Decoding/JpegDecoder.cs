using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>Decodes JPEG to the bytes that Pillow gets from the same libjpeg-turbo.</summary>
internal static class JpegDecoder
{
    private const byte EndOfImage = 0xD9, StartOfScan = 0xDA;

    // Huffman codes have at least one bit, and there is one for every 8x8 block of one channel, which at worst is sampled at half
    // the width and height: a whole file is never smaller than this. With arithmetic coding there is no such bound.
    private const int MostPixelsPerByte = 8 * 64 * 4;

    /// <summary>Decodes with the system's library or, where it is null, with the copy inside SkiaSharp.</summary>
    /// <param name="library">The system's library.</param>
    /// <param name="file">The whole file.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="options">Which files are taken.</param>
    /// <exception cref="UserException">The file is truncated, damaged or too large.</exception>
    public static DecodedImage Decode(TurboJpeg? library, ReadOnlySpan<byte> file, string name, DecodingOptions options)
    {
        CheckFrame(file, name, options);
        if (library is null)
        {
            return DecodeWithSkia(file, name, options);
        }

        if (!library.ReadHeader(file, out var width, out var height, out var space, out var error))
        {
            throw Unusable(file, name, error);
        }

        if (space < 0)
        {
            throw DecodingError.Unsupported(name, "a JPEG colour space that is neither grey, RGB, YCbCr, CMYK nor YCCK");
        }

        DecodingError.CheckSize(name, width, height, options);
        var cmyk = space is TurboJpeg.SpaceCmyk or TurboJpeg.SpaceYcck;
        var image = DecodedImage.Rent(name, width, height, cmyk ? PixelLayout.Cmyk : PixelLayout.Rgb, null);
        try
        {
            Decompress(library, file, name, image, options);
            if (cmyk)
            {
                // By Adobe's convention inks are stored inverted; Pillow takes it as given.
                Invert(image.Writable);
            }

            return image;
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    private static DecodedImage DecodeWithSkia(ReadOnlySpan<byte> file, string name, DecodingOptions options)
    {
        // Skia does not look for the end of the image; Pillow refuses files without it.
        if (!IsTruncated(file))
        {
            return SkiaDecoder.Decode(file, name, "JPEG", options);
        }

        if (!options.TruncatedImages)
        {
            throw DecodingError.Truncated(name, "JPEG");
        }

        // Like Pillow: at an end mark libjpeg makes do with what there was, at the end of the file Skia makes the rest black.
        var image = SkiaDecoder.Decode([.. file, 0xFF, EndOfImage], name, "JPEG", options);
        image.IsTruncated = true;
        return image;
    }

    /// <summary>Refuses what the frame's header claims when it is too much, or too much for a file of this length.</summary>
    private static void CheckFrame(ReadOnlySpan<byte> file, string name, DecodingOptions options)
    {
        var position = 2;
        while (NextMarker(file, ref position, out var marker) && marker is not (StartOfScan or EndOfImage))
        {
            // All markers of this range but three begin a frame; from 0xC9 on its coding is arithmetic.
            if (marker is >= 0xC0 and <= 0xCF and not (0xC4 or 0xC8 or 0xCC) && position + 7 <= file.Length)
            {
                long height = BinaryPrimitives.ReadUInt16BigEndian(file[(position + 3)..]);
                long width = BinaryPrimitives.ReadUInt16BigEndian(file[(position + 5)..]);
                DecodingError.CheckSize(name, width, height, options);
                if (marker < 0xC9 && width * height / MostPixelsPerByte > file.Length)
                {
                    throw DecodingError.Damaged(name, "JPEG", $"it is far too short for {width} x {height} pixels");
                }
            }

            SkipSegment(file, ref position, marker);
        }
    }

    private static void Decompress(TurboJpeg library, ReadOnlySpan<byte> file, string name, DecodedImage image, DecodingOptions options)
    {
        var format = image.Layout == PixelLayout.Cmyk ? TurboJpeg.FormatCmyk : TurboJpeg.FormatRgb;
        switch (library.Decompress(file, image.Writable, image.Width, image.Height, format, out var error))
        {
            case TurboJpeg.Outcome.Failure:
                throw Unusable(file, name, error);

            // Like Pillow: odd but complete data are decoded as they are, incomplete data are refused.
            case TurboJpeg.Outcome.Warning when IsTruncated(file):
                image.IsTruncated = options.TruncatedImages ? true : throw Unusable(file, name, error);
                break;
        }
    }

    private static UserException Unusable(ReadOnlySpan<byte> file, string name, string error) =>
        IsTruncated(file)
            ? DecodingError.Truncated(name, "JPEG")
            : DecodingError.Damaged(name, "JPEG", error);

    private static void Invert(Span<byte> inks)
    {
        for (var i = 0; i < inks.Length; i++)
        {
            inks[i] = (byte)~inks[i];
        }
    }

    /// <summary>Whether the file ends before its end-of-image marker, which is how an incomplete file is known.</summary>
    private static bool IsTruncated(ReadOnlySpan<byte> jpeg)
    {
        var position = 2;
        while (NextMarker(jpeg, ref position, out var marker))
        {
            if (marker == EndOfImage)
            {
                return false;
            }

            SkipSegment(jpeg, ref position, marker);
        }

        return true;
    }

    /// <summary>Moves behind the next marker, over the entropy-coded data and fill bytes in front of it.</summary>
    private static bool NextMarker(ReadOnlySpan<byte> jpeg, ref int position, out byte marker)
    {
        while (position < jpeg.Length)
        {
            var found = jpeg[position..].IndexOf((byte)0xFF);
            if (found < 0 || position + found + 1 >= jpeg.Length)
            {
                break;
            }

            position += found + 1;
            if (jpeg[position] is not (0x00 or 0xFF))
            {
                marker = jpeg[position++];
                return true;
            }
        }

        marker = 0;
        return false;
    }

    private static void SkipSegment(ReadOnlySpan<byte> jpeg, ref int position, byte marker)
    {
        // Restart and start markers stand alone; all others are followed by their segment's length.
        if (marker is not (0x01 or (>= 0xD0 and <= 0xD8)) && position + 2 <= jpeg.Length)
        {
            position += Math.Max(2, (int)BinaryPrimitives.ReadUInt16BigEndian(jpeg[position..]));
        }
    }
}

/// <summary>
/// The part of the system's TurboJPEG library (2.x or 3.x) that decoding needs. Its functions report errors as return
/// values, where libjpeg itself would jump over managed frames. The entry points are looked up by hand because the
/// library has another file name on every system and an assembly has but one import resolver.
/// </summary>
internal sealed unsafe class TurboJpeg
{
    /// <summary>Bytes red, green, blue.</summary>
    public const int FormatRgb = 0;

    /// <summary>Bytes cyan, magenta, yellow, black.</summary>
    public const int FormatCmyk = 11;

    /// <summary>Colour spaces of <see cref="ReadHeader"/>.</summary>
    public const int SpaceCmyk = 3, SpaceYcck = 4;

    private const int AccurateDct = 4096;
    private const int LimitScans = 32768;
    private const int WarningCode = 0;

    private static readonly Lazy<TurboJpeg?> Loaded = new(Load);

    [ThreadStatic]
    private static Decompressor? _decompressor;

    private readonly delegate* unmanaged<nint> _initDecompress;
    private readonly delegate* unmanaged<nint, byte*, CULong, int*, int*, int*, int*, int> _decompressHeader;
    private readonly delegate* unmanaged<nint, byte*, CULong, byte*, int, int, int, int, int, int> _decompress;
    private readonly delegate* unmanaged<nint, int> _getErrorCode;
    private readonly delegate* unmanaged<nint, byte*> _getErrorText;
    private readonly delegate* unmanaged<nint, int> _destroy;

    private TurboJpeg(nint library)
    {
        _initDecompress = (delegate* unmanaged<nint>)NativeLibrary.GetExport(library, "tjInitDecompress");
        _decompressHeader = (delegate* unmanaged<nint, byte*, CULong, int*, int*, int*, int*, int>)
            NativeLibrary.GetExport(library, "tjDecompressHeader3");
        _decompress = (delegate* unmanaged<nint, byte*, CULong, byte*, int, int, int, int, int, int>)
            NativeLibrary.GetExport(library, "tjDecompress2");
        _getErrorCode = (delegate* unmanaged<nint, int>)NativeLibrary.GetExport(library, "tjGetErrorCode");
        _getErrorText = (delegate* unmanaged<nint, byte*>)NativeLibrary.GetExport(library, "tjGetErrorStr2");
        _destroy = (delegate* unmanaged<nint, int>)NativeLibrary.GetExport(library, "tjDestroy");
    }

    /// <summary>What <see cref="Decompress"/> came to.</summary>
    public enum Outcome
    {
        /// <summary>Every pixel was decoded.</summary>
        Complete,

        /// <summary>The data are damaged or incomplete; as many pixels as possible were decoded.</summary>
        Warning,

        /// <summary>Nothing usable was decoded.</summary>
        Failure,
    }

    /// <summary>The library, or null where the system has none.</summary>
    public static TurboJpeg? Instance => Loaded.Value;

    /// <summary>Reads size and colour space (-1 when unknown); false with the library's words when there is no size.</summary>
    public bool ReadHeader(ReadOnlySpan<byte> jpeg, out int width, out int height, out int space, out string error)
    {
        int w = 0, h = 0, subsampling = -1, colorSpace = -1;
        var handle = ThreadHandle();
        int code;
        fixed (byte* data = jpeg)
        {
            code = _decompressHeader(handle, data, new CULong((nuint)jpeg.Length), &w, &h, &subsampling, &colorSpace);
        }

        (width, height, space) = (w, h, colorSpace);
        // An unusual chroma subsampling is an error to this function, but not to the decoder; the size is valid then.
        var valid = w > 0 && h > 0;
        error = code == 0 ? "" : TakeError(handle, out _);
        return valid;
    }

    /// <summary>
    /// Decodes to packed pixels with the slow accurate inverse DCT and smooth chroma upsampling, as libjpeg does unless
    /// told otherwise.
    /// </summary>
    public Outcome Decompress(
        ReadOnlySpan<byte> jpeg, Span<byte> pixels, int width, int height, int format, out string error)
    {
        var pitch = width * (format == FormatCmyk ? 4 : 3);
        ArgumentOutOfRangeException.ThrowIfLessThan(pixels.Length, pitch * height);
        var handle = ThreadHandle();
        int code;
        fixed (byte* data = jpeg)
        fixed (byte* target = pixels)
        {
            code = _decompress(
                handle, data, new CULong((nuint)jpeg.Length), target, width, pitch, height, format,
                AccurateDct | LimitScans);
        }

        var errorCode = 0;
        error = code == 0 ? "" : TakeError(handle, out errorCode);
        return code == 0 ? Outcome.Complete
            : errorCode == WarningCode ? Outcome.Warning
            : Outcome.Failure;
    }

    private static TurboJpeg? Load()
    {
        ReadOnlySpan<string> names = OperatingSystem.IsWindows() ? ["turbojpeg.dll", "libturbojpeg.dll"]
            : OperatingSystem.IsMacOS() ? ["libturbojpeg.0.dylib", "libturbojpeg.dylib"]
            : ["libturbojpeg.so.0", "libturbojpeg.so"];
        foreach (var name in names)
        {
            if (NativeLibrary.TryLoad(name, out var library))
            {
                return new TurboJpeg(library);
            }
        }

        return null;
    }

    private nint ThreadHandle() => (_decompressor ??= new Decompressor(this)).DangerousGetHandle();

    /// <summary>
    /// Reads the error and gives the decompressor up: after an error it may keep a half-read header, which would be
    /// continued by, and ruin, the next file.
    /// </summary>
    private string TakeError(nint handle, out int errorCode)
    {
        errorCode = _getErrorCode(handle);
        var text = Marshal.PtrToStringUTF8((nint)_getErrorText(handle)) ?? "";
        _decompressor?.Dispose();
        _decompressor = null;
        return text;
    }

    /// <summary>One decompressor a thread, freed some time after its thread has ended.</summary>
    private sealed class Decompressor : SafeHandle
    {
        private readonly TurboJpeg _library;

        public Decompressor(TurboJpeg library)
            : base(0, ownsHandle: true)
        {
            _library = library;
            SetHandle(library._initDecompress());
            if (IsInvalid)
            {
                throw new InvalidOperationException("TurboJPEG could not create a decompressor.");
            }
        }

        public override bool IsInvalid => handle == 0;

        protected override bool ReleaseHandle() => _library._destroy(handle) == 0;
    }
}
