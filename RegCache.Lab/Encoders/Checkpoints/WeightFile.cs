using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// An open weight file: safetensors or any of PyTorch's forms, in one file or in shards. Files are mapped into memory and their tensors
/// are views of them, so opening is fast whatever the size. Nothing in a file is ever executed.
/// </summary>
public sealed class WeightFile : IDisposable
{
    private readonly IReadOnlyList<IDisposable> _files;
    private readonly OrderedDictionary<string, WeightEntry> _tensors;

    private WeightFile(MappedFile file, WeightContainer container, object? root, IReadOnlyDictionary<string, string> metadata)
        : this(file.Path, [file], container, root, metadata)
    {
        if (root is PythonObject { Type: var type } && _tensors.Count == 0)
        {
            throw new UserException($"{Path} holds a `{type}` instead of weights; nothing of it was run, save the model's state_dict() or a safetensors file.");
        }
    }

    private WeightFile(
        string path, IReadOnlyList<IDisposable> files, WeightContainer container, object? root, IReadOnlyDictionary<string, string> metadata)
    {
        Path = path;
        _files = files;
        Container = container;
        Root = root;
        Metadata = metadata;
        (_tensors, Unreadable) = TensorTree.Flatten(root, path);
    }

    /// <summary>The path it was opened with.</summary>
    public string Path { get; }

    /// <summary>The form of the file.</summary>
    public WeightContainer Container { get; }

    /// <summary>
    /// All tensors in the file's order. A tensor inside dicts, lists or objects has a dotted name: that of a training
    /// checkpoint's first moment is "optimizer.state.0.exp_avg".
    /// </summary>
    public IReadOnlyList<WeightEntry> Tensors => _tensors.Values;

    /// <summary>The string map of a safetensors file; empty for other forms.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>
    /// The whole content as plain values: usually a <see cref="PythonDict"/>, which for a training checkpoint holds
    /// "epoch", "optimizer" and so on beside "state_dict".
    /// </summary>
    internal object? Root { get; }

    /// <summary>Objects that hold no tensor this kit reads, under names as those of <see cref="Tensors"/>, with their types.</summary>
    internal IReadOnlyDictionary<string, string> Unreadable { get; }

    /// <summary>The tensor of that name.</summary>
    /// <exception cref="UserException">The file has no such tensor.</exception>
    public WeightEntry this[string name] =>
        _tensors.TryGetValue(name, out var tensor) ? tensor : throw new UserException($"{Path} has no tensor {name}.");

    /// <summary>
    /// Opens a weight file, recognising its form by its content; of a file in shards all of them, whether the path names its index
    /// (<c>model.safetensors.index.json</c>) or a shard.
    /// </summary>
    /// <exception cref="UserException">A file is missing, damaged, of an unknown form, or holds no weights.</exception>
    public static WeightFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return WeightShards.Find(path) is { } shards ? OpenShards(path, shards) : OpenOne(path);
    }

    private static WeightFile OpenShards(string path, WeightShards shards)
    {
        var opened = new List<WeightFile>();
        try
        {
            var all = new PythonDict();
            foreach (var shard in shards.Files)
            {
                var file = OpenOne(shard);
                opened.Add(file);
                foreach (var tensor in file.Tensors)
                {
                    if (!all.TryAdd(tensor.Name, tensor))
                    {
                        throw new UserException($"{path}: the tensor {tensor.Name} lies in two shards, the second is {shard}; fetch the shards of one model.");
                    }
                }

                foreach (var (name, type) in file.Unreadable)
                {
                    all.TryAdd(name, new PythonObject(type));
                }
            }

            var missing = shards.Names.FirstOrDefault(name => !all.ContainsKey(name));
            return missing is null
                ? new WeightFile(path, opened, opened[0].Container, all, opened[0].Metadata)
                : throw new UserException($"{path}: no shard has the tensor {missing}, which the index lists; fetch index and shards of one model.");
        }
        catch
        {
            opened.ForEach(file => file.Dispose());
            throw;
        }
    }

    private static WeightFile OpenOne(string path)
    {
        var file = MappedFile.Open(path);
        try
        {
            return Read(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Whether the file has a tensor of that name.</summary>
    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <summary>Unmaps the file; its tensors must not be used any more.</summary>
    public void Dispose()
    {
        foreach (var file in _files)
        {
            file.Dispose();
        }
    }

    private static WeightFile Read(MappedFile file)
    {
        var none = new Dictionary<string, string>();
        if (SafetensorsReader.Recognises(file))
        {
            return ReadSafetensors(file);
        }

        if (ZipDirectory.Recognises(file))
        {
            var (root, isTorchScript) = TorchZipReader.Read(file);
            return new WeightFile(file, isTorchScript ? WeightContainer.TorchScript : WeightContainer.TorchZip, root, none);
        }

        if (TorchLegacyReader.Recognises(file))
        {
            return new WeightFile(file, WeightContainer.TorchLegacy, TorchLegacyReader.Read(file), none);
        }

        // What only claims to be safetensors gets that reader's complaint.
        var claims = System.IO.Path.GetExtension(file.Path).Equals(".safetensors", StringComparison.OrdinalIgnoreCase);
        return claims && !IsText(file) ? ReadSafetensors(file) : throw Unrecognised(file);
    }

    private static WeightFile ReadSafetensors(MappedFile file)
    {
        var (tensors, metadata) = SafetensorsReader.Read(file);
        var dict = new PythonDict();
        foreach (var tensor in tensors)
        {
            dict[tensor.Name] = tensor;
        }

        return new WeightFile(file, WeightContainer.Safetensors, dict, metadata);
    }

    private static UserException Unrecognised(MappedFile file) => new(IsText(file)
        ? $"{file.Path} holds text, not weights: a Git LFS pointer or an error page; download the file itself."
        : $"{file.Path} is neither a safetensors nor a PyTorch weight file, or its beginning is damaged; check the path or download it again.");

    // What failed downloads leave behind.
    private static bool IsText(MappedFile file)
    {
        var start = file.Span(0, (int)Math.Min(file.Length, 64));
        return start.StartsWith("version https://git-lfs"u8) || start.TrimStart(" \r\n\t"u8).StartsWith("<"u8);
    }
}

/// <summary>The form of a weight file, recognised by its content.</summary>
public enum WeightContainer
{
    /// <summary>safetensors, whatever the file is called.</summary>
    Safetensors,

    /// <summary>PyTorch's zip form (<c>torch.save</c> since 1.6).</summary>
    TorchZip,

    /// <summary>PyTorch's stream of pickles (<c>torch.save</c> before 1.6).</summary>
    TorchLegacy,

    /// <summary>A TorchScript archive (<c>torch.jit.save</c>), such as OpenAI's original CLIP files.</summary>
    TorchScript,
}

/// <summary>Names and sizes of the element types that weight files may hold.</summary>
internal static class ScalarTypes
{
    private static readonly (ScalarType Type, int Size, string Safetensors, string Storage, string Python)[] All =
    [
        (ScalarType.Float64, 8, "F64", "DoubleStorage", "float64"),
        (ScalarType.Float32, 4, "F32", "FloatStorage", "float32"),
        (ScalarType.Float16, 2, "F16", "HalfStorage", "float16"),
        (ScalarType.BFloat16, 2, "BF16", "BFloat16Storage", "bfloat16"),
        (ScalarType.Int64, 8, "I64", "LongStorage", "int64"),
        (ScalarType.Int32, 4, "I32", "IntStorage", "int32"),
        (ScalarType.Int16, 2, "I16", "ShortStorage", "int16"),
        (ScalarType.Int8, 1, "I8", "CharStorage", "int8"),
        (ScalarType.Byte, 1, "U8", "ByteStorage", "uint8"),
        (ScalarType.Bool, 1, "BOOL", "BoolStorage", "bool"),
    ];

    /// <summary>The safetensors names of the supported types, for messages.</summary>
    public static string SafetensorsNames { get; } = string.Join(", ", All.Select(row => row.Safetensors));

    public static int Size(ScalarType type) => Find(type).Size;

    public static string SafetensorsName(ScalarType type) => Find(type).Safetensors;

    public static ScalarType? FromSafetensors(string name) => Find(row => row.Safetensors == name);

    public static ScalarType? FromStorageName(string name) => Find(row => row.Storage == name);

    public static ScalarType? FromPythonName(string name) => Find(row => row.Python == name);

    public static bool IsSupported(ScalarType type) => Array.Exists(All, row => row.Type == type);

    private static (ScalarType Type, int Size, string Safetensors, string Storage, string Python) Find(ScalarType type) =>
        IsSupported(type)
            ? Array.Find(All, row => row.Type == type)
            : throw new UserException($"Weight files cannot hold tensors of type {type}; convert the tensor to Float32 first.");

    private static ScalarType? Find(Predicate<(ScalarType Type, int Size, string Safetensors, string Storage, string Python)> match)
    {
        var index = Array.FindIndex(All, match);
        return index < 0 ? null : All[index].Type;
    }
}
