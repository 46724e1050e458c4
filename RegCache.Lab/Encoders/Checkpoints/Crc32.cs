using System.Runtime.InteropServices;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>The checksum of zip archives (polynomial 0xEDB88320, reflected), eight bytes at a time.</summary>
internal static class Crc32
{
    private const int Slices = 8;

    // Tables[256 * s + b] is the effect of byte b followed by s zero bytes.
    private static readonly uint[] Tables = MakeTables();

    public static uint Update(uint checksum, ReadOnlySpan<byte> bytes)
    {
        var state = ~checksum;
        var words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (var word in words)
        {
            var mixed = word ^ state;
            state = 0;
            for (var slice = 0; slice < Slices; slice++)
            {
                state ^= Tables[(256 * (Slices - 1 - slice)) + (byte)(mixed >> (8 * slice))];
            }
        }

        foreach (var value in bytes[(words.Length * sizeof(ulong))..])
        {
            state = Tables[(byte)(state ^ value)] ^ (state >> 8);
        }

        return ~state;
    }

    private static uint[] MakeTables()
    {
        var tables = new uint[256 * Slices];
        for (var value = 0u; value < 256; value++)
        {
            var state = value;
            for (var bit = 0; bit < 8; bit++)
            {
                state = (state >> 1) ^ ((state & 1) * 0xEDB88320u);
            }

            tables[value] = state;
        }

        for (var index = 256; index < tables.Length; index++)
        {
            var before = tables[index - 256];
            tables[index] = tables[(byte)before] ^ (before >> 8);
        }

        return tables;
    }
}
