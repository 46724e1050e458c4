using System.Globalization;
using System.Numerics;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>A name that a pickle refers to. Referring is harmless; only <see cref="PickleCalls"/> gives one a meaning.</summary>
internal sealed record PythonGlobal(string Module, string Name)
{
    public override string ToString() => $"{Module} {Name}";
}

/// <summary>
/// What stands for any object but plain data: a module of a TorchScript archive, a numpy number, a path, a date. It keeps the attributes
/// and items that the file gives it, in the file's order, and has no behaviour.
/// </summary>
/// <param name="type">The name of the class or function that would make the object, for messages.</param>
internal sealed class PythonObject(string type)
{
    public string Type => type;

    /// <summary>What the function that would make the object would be called with.</summary>
    public object?[] Arguments { get; init; } = [];

    /// <summary>What the object would be given to restore itself from; its attributes, where it is a dict, are <see cref="Attributes"/>, too.</summary>
    public object? State { get; set; }

    public PythonDict Attributes { get; } = [];
}

/// <summary>A string or bytes value of more than 64 KB, which is not copied out of its pickle.</summary>
/// <param name="Start">The first byte, counted from the start of the pickle.</param>
/// <param name="Length">Bytes.</param>
internal sealed record PickledBytes(int Start, int Length);

/// <summary>
/// A dict of a checkpoint's plain Python values. Values are null, bool, long, <see cref="BigInteger"/>,
/// double, string, byte[], <see cref="PickledBytes"/>, lists (<see cref="List{T}"/> of object), tuples (object[]), dicts,
/// <see cref="WeightEntry"/> tensors, <see cref="PythonGlobal"/> names and <see cref="PythonObject"/> attribute holders. Keys are
/// mostly strings, numbers, truth values or None (<see cref="DBNull"/> stands for it), but may be any of these: some optimizers keep
/// their state under the tensors themselves. Tensors, tuples and objects are equal as keys only to themselves.
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

/// <summary>The tensors inside nested Python values, under dotted names made of keys (or their places), indices and attribute names.</summary>
internal sealed class TensorTree
{
    private const int MaxDepth = 100;

    // Shared containers are visited once for each place they occur in, which a hostile file could make endless.
    private const int MaxContainers = 1_000_000;
    private const long MaxItems = 100_000_000;

    // Where a pickled module keeps its parts; a state dict's names leave them out.
    private static readonly string[] ModuleParts = ["_modules", "_parameters", "_buffers"];

    private readonly string _path;
    private readonly HashSet<PythonObject> _seen = [];
    private readonly OrderedDictionary<string, WeightEntry> _tensors = [];
    private readonly Dictionary<string, string> _unreadable = [];
    private int _containers;
    private long _items;

    private TensorTree(string path) => _path = path;

    /// <summary>Finds them.</summary>
    /// <param name="root">The values.</param>
    /// <param name="path">The file, for messages.</param>
    /// <returns>The tensors; and what else stands under a name and holds none, with what it is.</returns>
    /// <exception cref="UserException">The values are nested without end, or two tensors have one name.</exception>
    public static (OrderedDictionary<string, WeightEntry> Tensors, IReadOnlyDictionary<string, string> Unreadable) Flatten(object? root, string path)
    {
        var tree = new TensorTree(path);
        tree.Visit(string.Empty, root, 0);
        return (tree._tensors, tree._unreadable);
    }

    private void Visit(string name, object? value, int depth)
    {
        if (depth > MaxDepth || ++_containers > MaxContainers)
        {
            throw new UserException($"{_path} nests its values too deeply near `{name[..Math.Min(name.Length, 80)]}`; save a plain state dict instead.");
        }

        switch (value)
        {
            case WeightEntry tensor when !_tensors.TryAdd(name, tensor.Rename(name)):
                throw new UserException($"{_path} holds two tensors that are both called {name}.");
            case PythonDict dict:
                VisitItems(name, dict, depth);
                break;

            // Objects refer to each other in circles.
            case PythonObject item when _seen.Add(item):
                var before = _tensors.Count;
                VisitItems(name, item.Attributes, depth);
                if (_tensors.Count == before)
                {
                    _unreadable[name] = item.Type;
                }

                break;
            case IReadOnlyList<object?> list:
                for (var index = 0; index < list.Count; index++)
                {
                    VisitItem(name, index, list[index], depth);
                }

                break;
        }
    }

    private void VisitItems(string name, PythonDict dict, int depth)
    {
        foreach (var (index, (key, item)) in dict.Index())
        {
            // Others, such as tensors and tuples, have no text that tells one from the next.
            VisitItem(name, key is string or bool or long or BigInteger or double or DBNull ? key : index, item, depth);
        }
    }

    private void VisitItem(string name, object key, object? item, int depth)
    {
        if (++_items > MaxItems)
        {
            throw new UserException($"{_path} holds too many values near `{name[..Math.Min(name.Length, 80)]}`; save a plain state dict instead.");
        }

        if (item is WeightEntry or PythonDict or PythonObject or IReadOnlyList<object?>)
        {
            Visit(key is string part && ModuleParts.Contains(part) ? name : Join(name, key), item, depth + 1);
        }
    }

    private static string Join(string name, object key)
    {
        var part = Convert.ToString(key, CultureInfo.InvariantCulture) ?? string.Empty;
        return name.Length == 0 ? part : $"{name}.{part}";
    }
}
