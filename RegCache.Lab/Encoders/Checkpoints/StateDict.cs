namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>The named tensors of a model in the order of their file. Immutable; the tensors stay in the file.</summary>
public sealed class StateDict
{
    private readonly OrderedDictionary<string, WeightEntry> _tensors = [];

    /// <summary>Collects tensors under their names.</summary>
    /// <param name="source">Where they come from, for messages.</param>
    /// <param name="tensors">The tensors in order.</param>
    /// <exception cref="UserException">Two tensors have one name.</exception>
    public StateDict(string source, IEnumerable<WeightEntry> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        Source = source;
        foreach (var tensor in tensors)
        {
            if (!_tensors.TryAdd(tensor.Name, tensor))
            {
                throw new UserException($"{source} holds two tensors that are both called {tensor.Name}.");
            }
        }
    }

    /// <summary>Where the tensors come from.</summary>
    public string Source { get; }

    /// <summary>The tensors in order.</summary>
    public IReadOnlyList<WeightEntry> Tensors => _tensors.Values;

    /// <summary>The tensor of that name.</summary>
    /// <exception cref="UserException">There is none.</exception>
    public WeightEntry this[string name] => Find(name) ?? throw new UserException(
        $"{Source} has no tensor `{name}`; check that it holds the weights of a CLIP vision transformer.");

    /// <summary>The tensor of that name, or null.</summary>
    public WeightEntry? Find(string name) => _tensors.GetValueOrDefault(name);

    /// <summary>Whether there is a tensor of that name.</summary>
    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <summary>Copies every tensor to the CPU, in its own type or another, for the model to use.</summary>
    public WeightTable ToWeightTable(torch.ScalarType? type = null) => new(
        Source, Tensors.Select(entry => KeyValuePair.Create(entry.Name, entry.ToTensor(IsFloating(entry) ? type : null))));

    /// <summary>The same tensors, each replaced or (null) dropped.</summary>
    internal StateDict Select(Func<WeightEntry, WeightEntry?> change) => new(Source, Tensors.Select(change).OfType<WeightEntry>());

    private static bool IsFloating(WeightEntry entry) =>
        entry.Type is torch.ScalarType.Float16 or torch.ScalarType.BFloat16 or torch.ScalarType.Float32 or torch.ScalarType.Float64;
}
