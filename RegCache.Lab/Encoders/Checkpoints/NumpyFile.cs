using System.Buffers.Binary;
using System.Text;
using RegCache.Lab.Reports;
using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// NumPy's <c>.npy</c>, version 1.0: one array with its type and shape, as <c>numpy.load</c> reads it (NumPy's documentation,
/// numpy.lib.format).
/// </summary>
public static class NumpyFile
{
    private const int Alignment = 64;

    // Magic string and version; two bytes with the header's length follow.
    private static ReadOnlySpan<byte> Start => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', 1, 0];

    /// <summary>Writes an array, packed in C order. The file appears under its name only when it is complete.</summary>
    /// <param name="path">The file.</param>
    /// <param name="array">The array; its name is not kept.</param>
    /// <exception cref="UserException">NumPy has no such type, or the file cannot be written.</exception>
    public static void Write(string path, WeightEntry array)
    {
        var header = Header(array);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(header);
            array.WriteTo(stream);
        });
    }

    /// <summary>The bytes in front of the data: the data begins at a multiple of 64 bytes.</summary>
    internal static byte[] Header(WeightEntry array)
    {
        // A tuple of one has a comma behind it, in Python's own writing.
        var shape = string.Concat(array.Shape.Select(size => $"{size}, "));
        var text = $"{{'descr': '{TypeOf(array)}', 'fortran_order': False, 'shape': ({(array.Shape.Count > 1 ? shape[..^2] : shape.TrimEnd())}), }}";
        var unpadded = Start.Length + sizeof(ushort) + text.Length + 1;
        var length = (unpadded + Alignment - 1) / Alignment * Alignment;
        var header = new byte[length];
        header.AsSpan().Fill((byte)' ');
        Start.CopyTo(header);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(Start.Length), (ushort)(length - Start.Length - sizeof(ushort)));
        Encoding.ASCII.GetBytes(text, header.AsSpan(Start.Length + sizeof(ushort)));
        header[^1] = (byte)'\n';
        return header;
    }

    private static string TypeOf(WeightEntry array) => array.Type switch
    {
        ScalarType.Float64 => "<f8",
        ScalarType.Float32 => "<f4",
        ScalarType.Float16 => "<f2",
        ScalarType.Int64 => "<i8",
        ScalarType.Int32 => "<i4",
        ScalarType.Int16 => "<i2",
        ScalarType.Int8 => "|i1",
        ScalarType.Byte => "|u1",
        ScalarType.Bool => "|b1",
        _ => throw new UserException($"NumPy has no type for {array}; convert it to Float32 first, or write safetensors."),
    };
}
