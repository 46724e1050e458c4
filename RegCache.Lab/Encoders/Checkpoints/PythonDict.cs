namespace RegCache.Lab.Encoders.Checkpoints;

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
