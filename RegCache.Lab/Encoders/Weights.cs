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

    /// <summary>Total number of elements.</summary>
    public long Elements => _tensors.Values.Sum(tensor => tensor.NumberOfElements);

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

    /// <summary>
    /// Brings float32 weights to a device and number type and hands them over: this table must not be used afterwards.
    /// Matrices take the asked type; norms and the logit scale stay float32 where they are applied in float32.
    /// </summary>
    public WeightTable Place(torch.Device device, torch.ScalarType type)
    {
        if (device.type == DeviceType.CPU && type == torch.ScalarType.Float32)
        {
            return this;
        }

        using (this)
        {
            return new(Source, _tensors.Select(pair => KeyValuePair.Create(
                pair.Key, pair.Value.to(StaysFloat(pair.Key) ? torch.ScalarType.Float32 : type, device, copy: true))));
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

    private static bool StaysFloat(string name) =>
        name.Contains("ln_", StringComparison.Ordinal) || name.StartsWith("logit_", StringComparison.Ordinal);
}

/// <summary>Builds the layers of a tower from its named tensors.</summary>
internal static class TowerWeights
{
    public static LayerNorm LayerNorm(WeightTable weights, string name, int width, double epsilon) =>
        new(weights.Take($"{name}.weight", width), weights.Take($"{name}.bias", width), epsilon);

    public static BlockLayers Block(
        WeightTable weights, string name, int width, int mlpWidth, int heads, double epsilon, Activation activation)
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
            new FeedForward(
                Linear("mlp.c_fc", ".", mlpWidth, width), activation, Linear("mlp.c_proj", ".", width, mlpWidth)))
        {
            LayerScale1 = weights.TakeIfPresent($"{name}.ls_1.gamma", width),
            LayerScale2 = weights.TakeIfPresent($"{name}.ls_2.gamma", width),
        };
    }
}
