using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Copies a .NET assembly so that no argument of a method that calls native code is collected before the method returns: the copy marks these methods
/// NoOptimization, and the runtime keeps arguments and locals of such methods until the end. Nothing else changes, and the original is only read.
/// </summary>
public sealed class KeepArgumentsAlive : Task
{
    // ECMA-335, II.22 and II.23: the numbers of metadata tables, and what a row of the table of methods holds where.
    private const int Module = 0, TypeReference = 1, Type = 2, FieldPointer = 3, Field = 4, MethodPointer = 5, Method = 6, Parameter = 8;
    private const int ModuleReference = 0x1a, TypeSpecification = 0x1b, AssemblyReference = 0x23;
    private const int ImplementationFlags = 4, AttributesHigh = 7;
    private const byte NoOptimization = 0x40, IsNative = 0x20;
    private const byte Call = 0x28; // the instruction, followed by the method's row and table

    /// <summary>The assemblies.</summary>
    [Required]
    public ITaskItem[] Assemblies { get; set; } = Array.Empty<ITaskItem>();

    /// <summary>Where the copies go.</summary>
    [Required]
    public string Folder { get; set; } = "";

    /// <summary>The copies, with the metadata of the originals.</summary>
    [Output]
    public ITaskItem[] Copies { get; set; } = Array.Empty<ITaskItem>();

    public override bool Execute()
    {
        var copies = new List<ITaskItem>();
        foreach (var assembly in Assemblies)
        {
            var content = File.ReadAllBytes(assembly.ItemSpec);
            if (Mark(content) == 0)
            {
                Log.LogError("{0} has no method that calls native code.", assembly.ItemSpec);
                return false;
            }

            var copy = new TaskItem(assembly) { ItemSpec = Path.Combine(Folder, Path.GetFileName(assembly.ItemSpec)) };
            if (!File.Exists(copy.ItemSpec) || !File.ReadAllBytes(copy.ItemSpec).SequenceEqual(content))
            {
                Directory.CreateDirectory(Folder);
                var partial = copy.ItemSpec + "." + Guid.NewGuid().ToString("N");
                File.WriteAllBytes(partial, content);
                File.Delete(copy.ItemSpec);
                File.Move(partial, copy.ItemSpec);
            }

            copies.Add(copy);
        }

        Copies = copies.ToArray();
        return true;
    }

    /// <summary>Marks the methods that call native code and returns how many they are.</summary>
    private static int Mark(byte[] file)
    {
        var (rows, count, size) = Methods(file);
        int Row(int method) => rows + ((method - 1) * size);
        var marked = 0;
        for (var method = 1; method <= count; method++)
        {
            var (start, length) = Code(file, BitConverter.ToUInt32(file, Row(method)));
            // Bytes that only look like a call do no harm: they mark one more method.
            for (var at = start; at < start + length - 4; at++)
            {
                var called = BitConverter.ToInt32(file, at + 1) & 0xffffff;
                if (file[at] == Call && file[at + 4] == Method && called > 0 && called <= count && (file[Row(called) + AttributesHigh] & IsNative) != 0)
                {
                    file[Row(method) + ImplementationFlags] |= NoOptimization;
                    marked++;
                    break;
                }
            }
        }

        return marked;
    }

    /// <summary>Where the instructions of a method are (II.25.4); a method without any is at address 0.</summary>
    private static (int Start, int Length) Code(byte[] file, uint address)
    {
        if (address == 0)
        {
            return (0, 0);
        }

        var body = Offset(file, address);
        return (file[body] & 3) == 2 ? (body + 1, file[body] >> 2) : (body + 12, BitConverter.ToInt32(file, body + 4));
    }

    /// <summary>Where the table of methods begins, its rows, and the bytes of a row (II.24.2.6).</summary>
    private static (int Start, int Count, int Size) Methods(byte[] file)
    {
        var tables = Tables(file);
        var present = BitConverter.ToUInt64(file, tables + 8);
        var counts = new int[64];
        var at = tables + 24;
        for (var table = 0; table < counts.Length; table++)
        {
            if ((present >> table & 1) != 0)
            {
                counts[table] = BitConverter.ToInt32(file, at);
                at += 4;
            }
        }

        int Heap(int bit) => (file[tables + 6] & bit) != 0 ? 4 : 2;
        // An index into one of several tables spends bits on saying which.
        int Index(int bits, params int[] into) => into.Max(table => counts[table]) < 1 << (16 - bits) ? 2 : 4;
        int text = Heap(1), guid = Heap(2), blob = Heap(4);
        var sizes = new Dictionary<int, int>
        {
            [Module] = 2 + text + (3 * guid),
            [TypeReference] = Index(2, Module, ModuleReference, AssemblyReference, TypeReference) + (2 * text),
            [Type] = 4 + (2 * text) + Index(2, Type, TypeReference, TypeSpecification) + Index(0, Field) + Index(0, Method),
            [FieldPointer] = Index(0, Field),
            [Field] = 2 + text + blob,
            [MethodPointer] = Index(0, Method),
            [Method] = 8 + text + blob + Index(0, Parameter),
        };
        return (at + Enumerable.Range(0, Method).Sum(table => counts[table] * sizes[table]), counts[Method], sizes[Method]);
    }

    /// <summary>Where the stream of the metadata tables begins (II.24.2).</summary>
    private static int Tables(byte[] file)
    {
        var metadata = Offset(file, BitConverter.ToUInt32(file, Offset(file, BitConverter.ToUInt32(file, Directories(file) + (14 * 8))) + 8));
        var header = metadata + 16 + BitConverter.ToInt32(file, metadata + 12);
        var streams = BitConverter.ToUInt16(file, header + 2);
        header += 4;
        for (var stream = 0; stream < streams; stream++)
        {
            var end = Array.IndexOf(file, (byte)0, header + 8);
            if (Encoding.ASCII.GetString(file, header + 8, end - header - 8) == "#~")
            {
                return metadata + BitConverter.ToInt32(file, header);
            }

            header += 8 + ((end - header - 8 + 4) / 4 * 4);
        }

        throw new InvalidDataException("no metadata tables");
    }

    /// <summary>Where an address in memory is in the file (II.25.3).</summary>
    private static int Offset(byte[] file, uint address)
    {
        var header = BitConverter.ToInt32(file, 0x3c);
        var section = header + 24 + BitConverter.ToUInt16(file, header + 20);
        for (var left = BitConverter.ToUInt16(file, header + 6); left > 0; left--, section += 40)
        {
            var inSection = address - BitConverter.ToUInt32(file, section + 12);
            if (inSection < BitConverter.ToUInt32(file, section + 16))
            {
                return (int)(BitConverter.ToUInt32(file, section + 20) + inSection);
            }
        }

        throw new InvalidDataException($"no section has address {address}");
    }

    private static int Directories(byte[] file)
    {
        var optional = BitConverter.ToInt32(file, 0x3c) + 24;
        return optional + (BitConverter.ToUInt16(file, optional) == 0x20b ? 112 : 96);
    }
}
