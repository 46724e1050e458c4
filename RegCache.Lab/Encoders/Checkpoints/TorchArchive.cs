using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>Reads PyTorch's zip form: a pickled object graph beside raw storages. TorchScript archives are of this form too.</summary>
internal static class TorchZipReader
{
    public static (object? Root, bool IsTorchScript) Read(MappedFile file)
    {
        var entries = ZipDirectory.Read(file);
        var graph = entries.Keys.Where(IsGraph).MinBy(name => name.Length) ?? throw new UserException(
            $"{file.Path} is a zip archive but not a PyTorch file: it has no data.pkl.");
        var root = graph[..^"data.pkl".Length];
        if (entries.TryGetValue(root + "byteorder", out var order) && !order.Read(file).SequenceEqual("little"u8))
        {
            throw new UserException($"{file.Path} was saved with big-endian numbers; save it on a little-endian machine.");
        }

        var storages = new Dictionary<string, PickledStorage>();
        var value = Unpickler.Load(entries[graph].Read(file), file.Path, LoadStorage, out _);
        var isTorchScript = entries.Keys.Any(name => name == root + "constants.pkl" || name.StartsWith(root + "code/", StringComparison.Ordinal));
        return (value, isTorchScript);

        object LoadStorage(object?[] id)
        {
            if (StorageId.Unsupported(id) is { } storageClass)
            {
                return new PythonObject(storageClass);
            }

            var (key, type, bytes) = StorageId.Parse(id, file.Path);
            if (storages.TryGetValue(key, out var known) && known.Type == type)
            {
                return known;
            }

            var (offset, length) = entries.TryGetValue($"{root}data/{key}", out var member) ? member.Locate(file) : (0, -1);
            if (length < bytes)
            {
                throw new UserException($"{file.Path} is damaged: the storage {key} of {bytes} bytes is missing or cut short.");
            }

            return storages[key] = new PickledStorage(new FileRange(file, offset, bytes), type);
        }
    }

    private static bool IsGraph(string name) => name == "data.pkl" || name.EndsWith("/data.pkl", StringComparison.Ordinal);
}

/// <summary>Reads PyTorch's form before 1.6: five pickles in a row, then the storages.</summary>
internal static class TorchLegacyReader
{
    private const int ProtocolVersion = 1001;

    private static readonly BigInteger Magic = BigInteger.Parse("1950a86a20f9469cfc6c", NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    // Protocol 2, then the magic number as a ten-byte integer.
    private static ReadOnlySpan<byte> Signature => [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

    public static bool Recognises(MappedFile file) =>
        file.Length >= Signature.Length && file.Span(0, Signature.Length).SequenceEqual(Signature);

    public static object? Read(MappedFile file)
    {
        var position = 0L;
        var storages = new Dictionary<string, PickledStorage>();
        if (Next() is not BigInteger magic || magic != Magic || Next() is not (long)ProtocolVersion || Next() is not PythonDict system)
        {
            throw new UserException($"{file.Path} starts like a PyTorch file of the old form but is damaged; copy or download it again.");
        }

        if (system.TryGet("little_endian", out bool isLittleEndian) && !isLittleEndian)
        {
            throw new UserException($"{file.Path} was saved with big-endian numbers; save it on a little-endian machine.");
        }

        var root = Next();
        if (Next() is not List<object?> keys)
        {
            throw new UserException($"{file.Path} is damaged: it has no list of storages.");
        }

        LocateStorages(file, keys, storages, position);
        return root;

        object? Next()
        {
            var value = Unpickler.Load(file.SpanFrom(position), file.Path, LoadStorage, out var consumed);
            position += consumed;
            return value;
        }

        PickledStorage LoadStorage(object?[] id)
        {
            var (key, type, bytes) = StorageId.Parse(id, file.Path);
            if (bytes > file.Length)
            {
                throw new UserException($"{file.Path} is cut short: the storage {key} alone has {bytes} bytes; copy or download it again.");
            }

            if (storages.TryGetValue(key, out var known) && known.Type == type && known.Range.ByteLength == bytes)
            {
                return known;
            }

            // Where it lies is known only after the object graph.
            var storage = new PickledStorage(new FileRange(file, offset: 0, bytes), type);
            return storages.TryAdd(key, storage)
                ? storage
                : throw new UserException($"{file.Path} is damaged: the storage {key} is described in two ways.");
        }
    }

    private static void LocateStorages(MappedFile file, List<object?> keys, Dictionary<string, PickledStorage> storages, long position)
    {
        foreach (var item in keys)
        {
            if (item is not string key || !storages.Remove(key, out var found))
            {
                throw new UserException($"{file.Path} is damaged: it lists a storage that no tensor uses.");
            }

            var elementSize = found.Type is { } type ? ScalarTypes.Size(type) : 1;
            if (position > file.Length - sizeof(long) - found.Range.ByteLength)
            {
                throw new UserException($"{file.Path} is cut short inside the storage {key}; copy or download it again.");
            }

            var elements = BinaryPrimitives.ReadInt64LittleEndian(file.Span(position, sizeof(long)));
            if (elements != found.Range.ByteLength / elementSize)
            {
                throw new UserException($"{file.Path} is damaged: the storage {key} has {elements} elements where its tensors need {found.Range.ByteLength / elementSize}.");
            }

            found.Range.Offset = position + sizeof(long);
            position += sizeof(long) + found.Range.ByteLength;
        }

        if (storages.Count > 0)
        {
            throw new UserException($"{file.Path} is damaged: the storage {storages.Keys.First()} is missing.");
        }
    }
}

/// <summary>A storage that a pickle refers to by its persistent id. The type is null for an untyped one, counted in bytes.</summary>
internal sealed record PickledStorage(FileRange Range, ScalarType? Type);

/// <summary>The tuple by which a pickle refers to a storage outside it.</summary>
internal static class StorageId
{
    /// <summary>The class of a storage whose elements cannot be read, or null.</summary>
    public static string? Unsupported(object?[] id) =>
        id is ["storage", PythonGlobal type, string, _, long, ..] && !IsUntyped(type) && ElementType(type) is null ? type.ToString() : null;

    /// <summary>Key, element type (null: untyped) and length of ("storage", class, key, location, element count [, view]).</summary>
    public static (string Key, ScalarType? Type, long Bytes) Parse(object?[] id, string path)
    {
        if (id is not ["storage", PythonGlobal storageClass, string key, _, long elements, ..] || elements < 0)
        {
            throw new UserException($"{path} is damaged: its pickled data refers to something that is no storage.");
        }

        if (id is [_, _, _, _, _, not null, ..])
        {
            throw new UserException($"{path} shares storages by views, as only PyTorch before 0.4 did; load and save it with a newer PyTorch.");
        }

        if (IsUntyped(storageClass))
        {
            return (key, null, elements);
        }

        var type = ElementType(storageClass) ?? throw new UserException(
            $"{path} holds a tensor in a `{storageClass}`, which is not supported; convert it to float32 first.");
        return elements <= long.MaxValue / 8
            ? (key, type, elements * ScalarTypes.Size(type))
            : throw new UserException($"{path} is damaged: a storage would have {elements} elements.");
    }

    private static bool IsUntyped(PythonGlobal type) => type is { Module: "torch.storage" or "torch", Name: "UntypedStorage" };

    private static ScalarType? ElementType(PythonGlobal type) => type.Module == "torch" ? ScalarTypes.FromStorageName(type.Name) : null;
}
