namespace RegCache.Lab.Encoders;

/// <summary>The float blocks of a tower as an execution runs them; prepared when they first run, and kept.</summary>
/// <param name="plain">The plain layers.</param>
/// <param name="execution">How they run; null runs them as they are.</param>
internal sealed class PreparedBlocks(IReadOnlyList<BlockLayers> plain, IExecution? execution) : IDisposable
{
    private readonly BlockLayers?[] _prepared = new BlockLayers?[plain.Count];
    private readonly List<Tensor> _owned = [];

    /// <summary>The layers that run: the plain ones under gradients.</summary>
    public BlockLayers this[int block] => execution is null || torch.is_grad_enabled()
        ? plain[block]
        : _prepared[block] ??= Keep(() => execution.Prepare(block, plain[block]));

    /// <summary>The layers that run under a scheme. Those that it leaves alone are the float blocks' own.</summary>
    public BlockLayers Under(ILayerScheme scheme, int block)
    {
        var layers = scheme.Apply(block, plain[block]);
        if (execution is null)
        {
            return layers;
        }

        var running = this[block];
        layers = LinearKinds.All.Aggregate(layers, (current, kind) => current.With(
            kind, linear => ReferenceEquals(linear, plain[block].Linear(kind)) ? running.Linear(kind)! : linear));
        return execution.Prepare(block, layers);
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
