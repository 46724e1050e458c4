namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// An open weight file: safetensors or any of PyTorch's forms. The file is mapped into memory and its tensors are
/// views of it, so opening is fast whatever the size. Nothing in a file is ever executed.
/// </summary>
public sealed class WeightFile : IDisposable
{
    private readonly MappedFile _file;
    private readonly OrderedDictionary<string, WeightEntry> _tensors;

    private WeightFile(MappedFile file, WeightContainer container, object? root, IReadOnlyDictionary<string, string> metadata)
    {
        _file = file;
        Container = container;
        Root = root;
        Metadata = metadata;
        _tensors = TensorTree.Flatten(root, file.Path);
    }

    /// <summary>The path it was opened with.</summary>
    public string Path => _file.Path;

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
    public object? Root { get; }

    /// <summary>The tensor of that name.</summary>
    /// <exception cref="UserException">The file has no such tensor.</exception>
    public WeightEntry this[string name] =>
        _tensors.TryGetValue(name, out var tensor) ? tensor : throw new UserException($"{Path} has no tensor {name}.");

    /// <summary>Opens a weight file, recognising its form by its content.</summary>
    /// <exception cref="UserException">The file is missing, damaged, of an unknown form, or asks to run something.</exception>
    public static WeightFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
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
    public void Dispose() => _file.Dispose();

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
