namespace RegCache.Lab.Encoders;

/// <summary>
/// The named tensors of a model in the order of its checkpoint (OpenCLIP names). Towers take what they need from it and
/// it refuses, by name, what is missing, of another shape, or not finite.
/// </summary>
public sealed class WeightTable : IDisposable
{
    private readonly OrderedDictionary<string, Tensor> _tensors;

    /// <summary>Takes ownership of the tensors; they no longer belong to any dispose scope.</summary>
    /// <param name="source">Where they came from, for messages: a file name, "random weights".</param>
    /// <param name="tensors">Name and tensor, in checkpoint order.</param>
    public WeightTable(string source, IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        Source = source;
        _tensors = new(tensors, StringComparer.Ordinal);
        foreach (var tensor in _tensors.Values)
        {
            tensor.DetachFromDisposeScope();
        }
    }

    /// <summary>Where the tensors came from.</summary>
    public string Source { get; }

    /// <summary>The names, in checkpoint order.</summary>
    public IReadOnlyList<string> Names => [.. _tensors.Keys];

    /// <summary>Each tensor once, under the first of its names: parts of a model may share one.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> Parameters => _tensors.DistinctBy(pair => pair.Value, ReferenceEqualityComparer.Instance);

    /// <summary>Total number of elements; a shared tensor counts once.</summary>
    public long Elements => Parameters.Sum(pair => pair.Value.NumberOfElements);

    /// <summary>The tensor of that name.</summary>
    public Tensor this[string name] => _tensors[name];

    /// <summary>Whether the table has a tensor of that name.</summary>
    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <summary>The tensor of that name if it has the shape that the configuration asks for.</summary>
    /// <exception cref="UserException">It is missing, has another shape, or holds NaN or infinity.</exception>
    public Tensor Take(string name, params long[] shape)
    {
        if (!_tensors.TryGetValue(name, out var tensor))
        {
            throw new UserException(
                $"{Source} has no tensor `{name}`, which the model configuration asks for; use the configuration that belongs to these weights.");
        }

        if (!tensor.shape.AsSpan().SequenceEqual(shape))
        {
            throw new UserException(
                $"{Source}: `{name}` has shape [{string.Join(", ", tensor.shape)}], but the model configuration asks for [{string.Join(", ", shape)}]; use the configuration that belongs to these weights.");
        }

        using var finite = tensor.isfinite();
        using var all = finite.all();
        if (!all.item<bool>())
        {
            throw new UserException($"{Source}: `{name}` holds NaN or infinite values; the file is damaged or its training diverged.");
        }

        return tensor;
    }

    /// <summary>The tensor of that name as <see cref="Take"/> checks it, or null when there is none.</summary>
    public Tensor? TakeIfPresent(string name, params long[] shape) => Contains(name) ? Take(name, shape) : null;

    /// <summary>Makes two names one tensor, that of the second name, if both hold the same values.</summary>
    /// <param name="name">The name whose own tensor is dropped.</param>
    /// <param name="owner">The name whose tensor both have then.</param>
    /// <exception cref="UserException">Their values differ, or one is missing.</exception>
    public void Unite(string name, string owner)
    {
        var shared = Take(owner, _tensors[owner].shape);
        var copy = Take(name, shared.shape);
        if (ReferenceEquals(copy, shared))
        {
            return;
        }

        if (!HoldSame(copy, shared))
        {
            throw new UserException(
                $"{Source}: `{name}` and `{owner}` should be one shared table, but differ; the file is damaged, or its layers share nothing (`mem_share_values` false).");
        }

        copy.Dispose();
        _tensors[name] = shared;
    }

    /// <summary>
    /// Brings float32 weights to a device and number type and hands them over: this table must not be used afterwards.
    /// Matrices take the asked type; norms, the logit scale, and keys and tables of a memory stay float32, as they are applied in float32.
    /// </summary>
    public WeightTable Place(torch.Device device, torch.ScalarType type)
    {
        if (device.type == DeviceType.CPU && type == torch.ScalarType.Float32)
        {
            return this;
        }

        using (this)
        {
            var placed = new Dictionary<Tensor, Tensor>(ReferenceEqualityComparer.Instance);
            return new(Source, _tensors.Select(pair => KeyValuePair.Create(pair.Key, placed.TryGetValue(pair.Value, out var shared)
                ? shared
                : placed[pair.Value] = pair.Value.to(TypeOf(pair.Key, pair.Value, type), device, copy: true))));
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var tensor in _tensors.Values)
        {
            tensor.Dispose();
        }
    }

    /// <summary>Whether two tensors of one shape hold the same values.</summary>
    internal static bool HoldSame(Tensor left, Tensor right)
    {
        using var scope = torch.NewDisposeScope();
        return left.eq(right).all().item<bool>();
    }

    // Counts of batches stay whole numbers.
    private static torch.ScalarType TypeOf(string name, Tensor tensor, torch.ScalarType type) =>
        !tensor.is_floating_point() ? tensor.dtype : StaysFloat(name) ? torch.ScalarType.Float32 : type;

    private static bool StaysFloat(string name) =>
        name.Contains("ln_", StringComparison.Ordinal)
        || name.Contains("norm", StringComparison.Ordinal)
        || BatchNorm.Has(name)
        || name.StartsWith("logit_", StringComparison.Ordinal)
        || name.Contains(".mlp.keys", StringComparison.Ordinal)
        || name.Contains(".mlp.values", StringComparison.Ordinal);
}

/// <summary>Builds the layers of a tower from its named tensors.</summary>
internal static class TowerWeights
{
    public static LayerNorm LayerNorm(WeightTable weights, string name, int width, double epsilon) =>
        new(weights.Take($"{name}.weight", width), weights.Take($"{name}.bias", width), epsilon);

    public static BlockLayers Block(
        WeightTable weights, string name, int width, int mlpWidth, int heads, double epsilon, Activation activation, IMlp? mlp = null)
    {
        Linear Linear(string layer, string separator, int output, int input) => new(
            weights.Take($"{name}.{layer}{separator}weight", output, input),
            weights.Take($"{name}.{layer}{separator}bias", output));

        return new(
            heads,
            LayerNorm(weights, $"{name}.ln_1", width, epsilon),
            Linear("attn.in_proj", "_", 3 * width, width),
            Attention.Float,
            Linear("attn.out_proj", ".", width, width),
            LayerNorm(weights, $"{name}.ln_2", width, epsilon),
            mlp ?? new FeedForward(
                Linear("mlp.c_fc", ".", mlpWidth, width), activation, Linear("mlp.c_proj", ".", width, mlpWidth)))
        {
            LayerScale1 = weights.TakeIfPresent($"{name}.ls_1.gamma", width),
            LayerScale2 = weights.TakeIfPresent($"{name}.ls_2.gamma", width),
        };
    }
}
