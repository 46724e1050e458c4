using System.Globalization;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>A name that a pickle refers to. Referring is harmless; only <see cref="PickleCalls"/> gives one a meaning.</summary>
internal sealed record PythonGlobal(string Module, string Name)
{
    /// <summary>True for the classes of a TorchScript archive, which hold attributes and nothing else.</summary>
    public bool IsTorchScriptClass => Module == "__torch__" || Module.StartsWith("__torch__.", StringComparison.Ordinal);

    public override string ToString() => $"{Module} {Name}";
}

/// <summary>An object of a TorchScript archive: nothing but attributes, in the archive's order. It has no behaviour.</summary>
internal sealed class PythonObject
{
    public PythonDict Attributes { get; } = [];
}

/// <summary>
/// A dict of a checkpoint's plain Python values. Keys are strings, numbers (long, double) or truth values
/// (<see cref="DBNull"/> stands for None); values are null, bool, long, <see cref="System.Numerics.BigInteger"/>,
/// double, string, byte[], lists (<see cref="List{T}"/> of object), tuples (object[]), dicts,
/// <see cref="WeightEntry"/> tensors and <see cref="PythonObject"/> attribute holders.
/// </summary>
internal sealed class PythonDict : OrderedDictionary<object, object?>
{
    /// <summary>The value of a key, if it is there and of the wanted type.</summary>
    public bool TryGet<T>(object key, out T value)
    {
        if (TryGetValue(key, out var found) && found is T wanted)
        {
            value = wanted;
            return true;
        }

        value = default!;
        return false;
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
            foreach (var (key, item) in dict)
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
