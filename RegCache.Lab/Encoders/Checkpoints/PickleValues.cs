using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>A name that a pickle refers to. Referring is harmless; only <see cref="PickleCalls"/> gives one a meaning.</summary>
internal sealed record PythonGlobal(string Module, string Name)
{
    /// <summary>True for the classes of a TorchScript archive, which hold attributes and nothing else.</summary>
    public bool IsTorchScriptClass => Module == "__torch__" || Module.StartsWith("__torch__.", StringComparison.Ordinal);

    public override string ToString() => $"{Module} {Name}";
}

/// <summary>An object of a TorchScript archive: nothing but a class name and attributes. It has no behaviour.</summary>
/// <param name="ClassName">The class as the archive names it, for example "__torch__.multimodal.model.VisualTransformer".</param>
public sealed record PythonObject(string ClassName)
{
    /// <summary>The attributes in the archive's order.</summary>
    public PythonDict Attributes { get; } = new();
}

/// <summary>
/// An ordered dict of a checkpoint's plain Python values. Keys are strings, numbers (long, double) or truth values
/// (<see cref="DBNull"/> stands for None); values are null, bool, long, <see cref="System.Numerics.BigInteger"/>,
/// double, string, byte[], lists (<see cref="List{T}"/> of object), tuples (object[]), dicts,
/// <see cref="WeightEntry"/> tensors and <see cref="PythonObject"/> attribute holders.
/// </summary>
public sealed class PythonDict
{
    private readonly OrderedDictionary<object, object?> _items = [];

    /// <summary>The keys and values in order.</summary>
    public IReadOnlyList<KeyValuePair<object, object?>> Items => _items;

    /// <summary>The value of a key; setting a known key keeps its place in the order.</summary>
    /// <exception cref="KeyNotFoundException">There is no such key.</exception>
    public object? this[object key]
    {
        get => _items[key];
        set => _items[key] = value;
    }

    /// <summary>The value of a key, if it is there and of the wanted type.</summary>
    public bool TryGet<T>(object key, out T value)
    {
        if (_items.TryGetValue(key, out var found) && found is T wanted)
        {
            value = wanted;
            return true;
        }

        value = default!;
        return false;
    }
}

/// <summary>A storage that a pickle refers to by its persistent id. The type is null for an untyped one, counted in bytes.</summary>
internal sealed record PickledStorage(WeightStorage Bytes, ScalarType? Type);

/// <summary>The tuple by which a pickle refers to a storage outside it.</summary>
internal static class StorageId
{
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

        if (storageClass is { Module: "torch.storage", Name: "UntypedStorage" } or { Module: "torch", Name: "UntypedStorage" })
        {
            return (key, null, elements);
        }

        var type = (storageClass.Module == "torch" ? ScalarTypes.FromStorageName(storageClass.Name) : null) ?? throw new UserException(
            $"{path} holds a tensor in a `{storageClass}`, which is not supported; convert it to float32 first.");
        return elements <= long.MaxValue / 8
            ? (key, type, elements * ScalarTypes.Size(type))
            : throw new UserException($"{path} is damaged: a storage would have {elements} elements.");
    }
}

/// <summary>The memory of a contiguous CPU tensor, which must stay undisposed as long as the entry is used.</summary>
internal sealed unsafe class TensorStorage(Tensor tensor) : WeightStorage
{
    public override long ByteLength { get; } = tensor.NumberOfElements * tensor.ElementSize;

    public override byte* Pointer =>
        ByteLength == 0 ? null : (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(FirstBytes()));

    // A span counts bytes in an int, so that of a larger tensor is taken of its first element only.
    private Span<byte> FirstBytes()
    {
        if (ByteLength <= int.MaxValue)
        {
            return tensor.bytes;
        }

        using var first = tensor.reshape(-1).narrow(0, 0, 1);
        return first.bytes;
    }
}

/// <summary>Finds the tensors inside nested Python values.</summary>
internal static class TensorTree
{
    private const int MaxDepth = 100;

    // Shared containers are visited once for each place they occur in, which a hostile file could make endless.
    private const int MaxVisits = 1_000_000;

    /// <summary>The tensors under dotted names made of keys, indices and attribute names.</summary>
    public static OrderedDictionary<string, WeightEntry> Flatten(object? root, string path)
    {
        var tensors = new OrderedDictionary<string, WeightEntry>();
        var visits = 0;
        Visit(string.Empty, root, 0);
        return tensors;

        void Visit(string name, object? value, int depth)
        {
            if (depth > MaxDepth || ++visits > MaxVisits)
            {
                throw new UserException($"{path} nests its values too deeply near `{name[..Math.Min(name.Length, 80)]}`; save a plain state dict instead.");
            }

            switch (value)
            {
                case WeightEntry tensor when !tensors.TryAdd(name, tensor.Rename(name)):
                    throw new UserException($"{path} holds two tensors that are both called {name}.");
                case PythonDict dict:
                    VisitItems(name, dict, depth);
                    break;
                case PythonObject item:
                    VisitItems(name, item.Attributes, depth);
                    break;
                case IReadOnlyList<object?> list:
                    for (var index = 0; index < list.Count; index++)
                    {
                        Visit(Join(name, index), list[index], depth + 1);
                    }

                    break;
            }
        }

        void VisitItems(string name, PythonDict dict, int depth)
        {
            foreach (var (key, item) in dict.Items)
            {
                Visit(Join(name, key), item, depth + 1);
            }
        }
    }

    private static string Join(string name, object key)
    {
        var part = Convert.ToString(key, CultureInfo.InvariantCulture) ?? string.Empty;
        return name.Length == 0 ? part : $"{name}.{part}";
    }
}
