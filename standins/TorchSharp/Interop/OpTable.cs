using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchSharp.Interop;

/// <summary>
/// The operators found so far, by name. Readers take no lock: the table is replaced, never changed, so a reader sees
/// either the old table or the new one.
/// </summary>
internal static unsafe class OpTable
{
    private static readonly Lock Gate = new();
    private static Entry?[] table = new Entry?[256];
    private static int count;

    /// <summary>The native operator; an <see cref="ExternalException"/> where this libtorch has none of that name.</summary>
    public static void* Find(ReadOnlySpan<byte> name)
    {
        var hash = Hash(name);
        var entries = Volatile.Read(ref table);
        for (var slot = hash & (uint)(entries.Length - 1); entries[slot] is { } entry; slot = (slot + 1) & (uint)(entries.Length - 1))
        {
            if (entry.Hash == hash && name.SequenceEqual(entry.Name))
            {
                return entry.Handle;
            }
        }

        return Add(name, hash);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void* Add(ReadOnlySpan<byte> name, uint hash)
    {
        void* handle;
        fixed (byte* text = name)
        {
            handle = Native.tsb_operator(text, name.Length);
        }

        if (handle is null)
        {
            throw Native.Error();
        }

        lock (Gate)
        {
            // Two threads may both have looked the operator up; then it is in the table twice, which does no harm.
            var next = new Entry?[count * 2 >= table.Length ? table.Length * 2 : table.Length];
            foreach (var entry in table)
            {
                if (entry is not null)
                {
                    Insert(next, entry);
                }
            }

            Insert(next, new Entry(name.ToArray(), hash, handle));
            count++;
            Volatile.Write(ref table, next);
        }

        return handle;
    }

    private static void Insert(Entry?[] entries, Entry entry)
    {
        var slot = entry.Hash & (uint)(entries.Length - 1);
        while (entries[slot] is not null)
        {
            slot = (slot + 1) & (uint)(entries.Length - 1);
        }

        entries[slot] = entry;
    }

    // Names begin with "aten::" and differ in what follows and in how they end.
    private static uint Hash(ReadOnlySpan<byte> name)
    {
        ref var first = ref MemoryMarshal.GetReference(name);
        var hash = (ulong)name.Length;
        if (name.Length >= 8)
        {
            hash ^= Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref first, name.Length - 8)) * 0x9E3779B97F4A7C15;
            hash ^= Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref first, Math.Min(6, name.Length - 8))) * 0xC2B2AE3D27D4EB4F;
        }

        return (uint)(hash >> 32) ^ (uint)hash;
    }

    private sealed class Entry(byte[] name, uint hash, void* handle)
    {
        public byte[] Name { get; } = name;

        public uint Hash { get; } = hash;

        public void* Handle { get; } = handle;
    }
}
