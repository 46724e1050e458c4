namespace RegCache.Lab.Encoders;

/// <summary>The float blocks of a tower as a backend runs them; prepared when they first run, and kept.</summary>
/// <param name="plain">The plain layers.</param>
/// <param name="backend">How they run; null runs them as they are.</param>
internal sealed class PreparedBlocks(IReadOnlyList<BlockLayers> plain, IBackend? backend) : IDisposable
{
    private readonly BlockLayers?[] _prepared = new BlockLayers?[plain.Count];
    private readonly List<Tensor> _owned = [];

    /// <summary>The layers that run: the plain ones under gradients.</summary>
    public BlockLayers this[int block] => backend is null || torch.is_grad_enabled()
        ? plain[block]
        : _prepared[block] ??= Keep(() => backend.Prepare(block, plain[block]));

    /// <summary>The layers that run under a transform. Those that it leaves alone are the float blocks' own.</summary>
    public BlockLayers Under(ILayerTransform transform, int block)
    {
        var layers = transform.Apply(block, plain[block]);
        if (backend is null)
        {
            return layers;
        }

        var running = this[block];
        layers = LinearKinds.All.Aggregate(layers, (current, kind) => current.With(
            kind, linear => ReferenceEquals(linear, plain[block].Linear(kind)) ? running.Linear(kind)! : linear));
        return backend.Prepare(block, layers);
    }

    public void Dispose()
    {
        foreach (var tensor in _owned)
        {
            tensor.Dispose();
        }

        _owned.Clear();
        Array.Clear(_prepared);
    }

    /// <summary>Makes something and keeps its tensors as long as the blocks.</summary>
    public T Keep<T>(Func<T> make)
    {
        using var scope = torch.NewDisposeScope();
        var result = make();
        Tensor[] made = [.. scope.DisposablesView.OfType<Tensor>()];
        scope.Detach(made);
        _owned.AddRange(made);
        return result;
    }
}
