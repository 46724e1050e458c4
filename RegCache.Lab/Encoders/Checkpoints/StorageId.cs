using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

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
