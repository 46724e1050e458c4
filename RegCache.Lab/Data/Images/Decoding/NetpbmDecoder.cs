using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>
/// Decodes the Netpbm formats, P1 to P6: bitmaps (PBM), grey (PGM) and colours (PPM), in text or bytes, of up to 16 bits. Some
/// classification sets, such as GTSRB, are PPM files. As in Pillow, grey of more than 8 bits keeps 16 bits, colours become 8 bits.
/// </summary>
internal static class NetpbmDecoder
{
    /// <summary>Decodes a file that begins with P and a digit from 1 to 6.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="options">Which files are taken.</param>
    /// <exception cref="UserException">The file is truncated, damaged or too large.</exception>
    public static DecodedImage Decode(ReadOnlySpan<byte> file, string name, DecodingOptions options)
    {
        var (isText, kind) = file[1] <= '3' ? (true, file[1] - '0') : (false, file[1] - '3');
        var (format, isBitmap, channels) = kind switch
        {
            1 => ("PBM", true, 1),
            2 => ("PGM", false, 1),
            _ => ("PPM", false, 3),
        };
        var tokens = new Tokens(file, 2);
        int Header(ref Tokens from) => from.Next() ?? throw DecodingError.TruncatedOrDamaged(name, format);
        var (width, height, largest) = (Header(ref tokens), Header(ref tokens), isBitmap ? 1 : Header(ref tokens));
        if (largest is < 1 or > ushort.MaxValue)
        {
            throw DecodingError.Damaged(name, format, $"its largest value is {largest}");
        }

        DecodingError.CheckSize(name, width, height, options);
        var samples = (long)width * height * channels;
        var needed = (isText, isBitmap) switch
        {
            (true, true) => samples,
            (true, false) => (2 * samples) - 1,
            (false, true) => (width + 7) / 8 * (long)height,
            (false, false) => largest > byte.MaxValue ? 2 * samples : samples,
        };
        if (file.Length - tokens.Position < needed)
        {
            throw DecodingError.Truncated(name, format);
        }

        var layout = isBitmap ? PixelLayout.Palette
            : channels == 1 && largest > byte.MaxValue ? PixelLayout.Grey16
            : PixelLayout.Rgb;
        var image = DecodedImage.Rent(name, width, height, layout, isBitmap ? SampleDecoder.BlackAndWhite() : null);
        try
        {
            switch (isText, isBitmap)
            {
                case (true, _):
                    FillFromText(tokens, image, channels, isBitmap, largest, format);
                    break;
                case (false, true):
                    FillFromBits(file[tokens.Position..], image);
                    break;
                case (false, false):
                    FillFromBytes(file[tokens.Position..], image, channels, largest);
                    break;
            }

            return image;
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    private static void FillFromBytes(ReadOnlySpan<byte> samples, DecodedImage image, int channels, int largest)
    {
        if (channels == 3 && largest == byte.MaxValue)
        {
            samples[..image.Writable.Length].CopyTo(image.Writable);
            return;
        }

        var count = image.Width * image.Height * channels;
        for (var i = 0; i < count; i++)
        {
            Set(image, channels, i, largest > byte.MaxValue ? BinaryPrimitives.ReadUInt16BigEndian(samples[(2 * i)..]) : samples[i], largest);
        }
    }

    // A one is ink. Rows begin at whole bytes.
    private static void FillFromBits(ReadOnlySpan<byte> bits, DecodedImage image)
    {
        var pixels = image.Writable;
        var rowBytes = (image.Width + 7) / 8;
        for (var y = 0; y < image.Height; y++)
        {
            for (var x = 0; x < image.Width; x++)
            {
                var ink = (bits[(y * rowBytes) + (x / 8)] >> (7 - (x % 8))) & 1;
                pixels[(y * image.Width) + x] = ink == 1 ? (byte)0 : byte.MaxValue;
            }
        }
    }

    private static void FillFromText(Tokens tokens, DecodedImage image, int channels, bool isBitmap, int largest, string format)
    {
        var count = image.Width * image.Height * channels;
        for (var i = 0; i < count; i++)
        {
            var value = (isBitmap ? tokens.NextBit() : tokens.Next()) ?? throw DecodingError.TruncatedOrDamaged(image.Name, format);
            if (value > largest)
            {
                throw DecodingError.Damaged(image.Name, format, $"{value} is above its largest value {largest}");
            }

            if (isBitmap)
            {
                image.Writable[i] = value == 1 ? (byte)0 : byte.MaxValue;
            }
            else
            {
                Set(image, channels, i, value, largest);
            }
        }
    }

    /// <summary>Stores a sample, scaled to all bits and rounded to even as Pillow does; grey is stored three times.</summary>
    private static void Set(DecodedImage image, int channels, int sample, int value, int largest)
    {
        if (image.Layout == PixelLayout.Grey16)
        {
            MemoryMarshal.Cast<byte, ushort>(image.Writable)[sample] = (ushort)Scale(ushort.MaxValue);
        }
        else if (channels == 3)
        {
            image.Writable[sample] = (byte)Scale(byte.MaxValue);
        }
        else
        {
            image.Writable.Slice(3 * sample, 3).Fill((byte)Scale(byte.MaxValue));
        }

        int Scale(int most) => Math.Min(most, (int)Math.Round(value / (double)largest * most));
    }

    /// <summary>The numbers of a text, with white space between them and comments from # to the end of a line.</summary>
    private ref struct Tokens(ReadOnlySpan<byte> file, int position)
    {
        private const int MostDigits = 10;
        private readonly ReadOnlySpan<byte> _file = file;

        /// <summary>Behind the last number and the one character that ends it.</summary>
        public int Position { get; private set; } = position;

        /// <summary>The next number; null: there is none, or something else.</summary>
        public int? Next()
        {
            SkipSpace();
            var (value, digits) = (0L, 0);
            for (; Position < _file.Length && _file[Position] is >= (byte)'0' and <= (byte)'9' && digits < MostDigits; Position++, digits++)
            {
                value = (10 * value) + _file[Position] - '0';
            }

            var ends = Position == _file.Length || IsSpace(_file[Position]) || _file[Position] == '#';
            if (digits == 0 || !ends || value > int.MaxValue)
            {
                return null;
            }

            // A comment ends the number here and is skipped in front of the next one.
            Position += Position < _file.Length && _file[Position] != '#' ? 1 : 0;
            return (int)value;
        }

        /// <summary>The next digit 0 or 1, which needs no space behind it; null: there is none, or something else.</summary>
        public int? NextBit()
        {
            SkipSpace();
            return Position < _file.Length && _file[Position] is (byte)'0' or (byte)'1' ? _file[Position++] - '0' : null;
        }

        private void SkipSpace()
        {
            while (Position < _file.Length && (IsSpace(_file[Position]) || _file[Position] == '#'))
            {
                if (_file[Position] == '#')
                {
                    var end = _file[Position..].IndexOfAny((byte)'\r', (byte)'\n');
                    Position = end < 0 ? _file.Length : Position + end;
                }
                else
                {
                    Position++;
                }
            }
        }

        private static bool IsSpace(byte value) => value is (byte)' ' or (>= (byte)'\t' and <= (byte)'\r');
    }
}
