using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.Loader;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>Loads the compiled code of cells, each in a context of its own that goes when nothing refers to the cell any more.</summary>
internal sealed class CellAssemblies
{
    private readonly ConcurrentDictionary<string, WeakReference<Assembly>> _loaded = [];

    public Assembly Load(string name, MemoryStream code, MemoryStream symbols)
    {
        var assembly = new Context(this).LoadFromStream(code, symbols);
        _loaded[name] = new WeakReference<Assembly>(assembly);
        foreach (var (gone, _) in _loaded.Where(entry => !entry.Value.TryGetTarget(out _)).ToArray())
        {
            _loaded.TryRemove(gone, out _);
        }

        return assembly;
    }

    private sealed class Context(CellAssemblies cells) : AssemblyLoadContext(isCollectible: true)
    {
        protected override Assembly? Load(AssemblyName assemblyName) =>
            assemblyName.Name is { } name && cells._loaded.TryGetValue(name, out var cell) && cell.TryGetTarget(out var assembly)
                ? assembly
                : null;
    }
}
