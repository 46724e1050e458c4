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

        PickledStorage LoadStorage(object?[] id)
        {
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

            return storages[key] = new PickledStorage(new MappedStorage(file, offset, bytes), type);
        }
    }

    private static bool IsGraph(string name) => name == "data.pkl" || name.EndsWith("/data.pkl", StringComparison.Ordinal);
}
