using System.Collections;
using System.Runtime.InteropServices;
using System.Text;

namespace RegCache.Lab.Data;

/// <summary>
/// Paths of many files in little memory: each folder once, and the names in it as UTF-8, one behind the other. A path takes its
/// name's bytes and four more; a million of ImageNet's as strings would take 200 MB. Files of a folder are added together.
/// </summary>
internal sealed class PathList : IReadOnlyList<string>
{
    private readonly List<string> _folders = [];
    private readonly List<int> _firstOfFolder = [];
    private readonly List<int> _ends = [];
    private readonly List<byte> _names = [];

    /// <inheritdoc />
    public int Count => _ends.Count;

    /// <inheritdoc />
    public string this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Count, nameof(index));
            var folder = _firstOfFolder.BinarySearch(index);
            var first = index == 0 ? 0 : _ends[index - 1];
            return Path.Join(
                _folders[folder >= 0 ? folder : ~folder - 1],
                Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(_names)[first.._ends[index]]));
        }
    }

    /// <summary>Adds a file; those of a folder come one behind the other.</summary>
    /// <param name="folder">The folder, or the archive.</param>
    /// <param name="name">The name in it.</param>
    public void Add(string folder, string name)
    {
        if (_folders.Count == 0 || _folders[^1] != folder)
        {
            _folders.Add(folder);
            _firstOfFolder.Add(Count);
        }

        var length = Encoding.UTF8.GetByteCount(name);
        CollectionsMarshal.SetCount(_names, checked(_names.Count + length));
        Encoding.UTF8.GetBytes(name, CollectionsMarshal.AsSpan(_names)[^length..]);
        _ends.Add(_names.Count);
    }

    /// <summary>Adds files of a folder, in order.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="names">Their names in it.</param>
    public void Add(string folder, IReadOnlyList<string> names)
    {
        foreach (var name in names)
        {
            Add(folder, name);
        }
    }

    /// <summary>Gives back the memory that lists keep to grow into.</summary>
    public PathList Trim()
    {
        _names.TrimExcess();
        _ends.TrimExcess();
        return this;
    }

    /// <inheritdoc />
    public IEnumerator<string> GetEnumerator()
    {
        for (var index = 0; index < Count; index++)
        {
            yield return this[index];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
