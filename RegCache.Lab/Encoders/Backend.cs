namespace RegCache.Lab.Encoders;

/// <summary>
/// How the layers of a plan are carried out on the machine: replaces layers by ones that compute the same values faster.
/// Used for inference only; under gradients the plain layers run.
/// </summary>
public interface IBackend
{
    /// <summary>
    /// Returns the layers that run. It takes over what a transform made for this block; tensors that it makes belong to the
    /// current dispose scope.
    /// </summary>
    /// <param name="block">The block's index, 0-based.</param>
    /// <param name="layers">The block's layers, already under the plan's transform.</param>
    BlockLayers Prepare(int block, BlockLayers layers);

    /// <summary>Returns the patch embedding that runs; the same rules.</summary>
    PatchEmbedding Prepare(PatchEmbedding patches) => patches;
}

/// <summary>
/// Computes half a block at once, residual stream to residual stream. The result is that of the single layers up to
/// rounding; what lies between them never becomes a tensor.
/// </summary>
public interface IBlockBackend
{
    /// <summary>Whether the backend can do the attention half of these layers.</summary>
    /// <param name="layers">The block's layers.</param>
    /// <param name="tokens">The stream that arrives [B,N,C].</param>
    bool CanAttend(BlockLayers layers, Tensor tokens);

    /// <summary>Computes <c>x + gain * out(attention(in(norm(x))))</c>.</summary>
    /// <param name="layers">The block's layers.</param>
    /// <param name="tokens">x [B,N,C].</param>
    /// <param name="extras">Prefix, bias and mask.</param>
    /// <param name="keepHeads">Whether queries and keys are wanted.</param>
    /// <returns>The new stream, a fresh tensor, and queries and keys [B,H,N,d] if wanted.</returns>
    (Tensor Tokens, Tensor? Queries, Tensor? Keys) Attend(
        BlockLayers layers, Tensor tokens, AttentionExtras extras, bool keepHeads);

    /// <summary>Whether the backend can do the MLP half of these layers.</summary>
    /// <param name="layers">The block's layers.</param>
    /// <param name="tokens">The stream that arrives [B,N,C].</param>
    bool CanFeed(BlockLayers layers, Tensor tokens);

    /// <summary>Computes <c>x + gain * mlp(norm(x))</c>.</summary>
    /// <param name="layers">The block's layers.</param>
    /// <param name="tokens">x [B,N,C]; the result is written over it where its memory is dense.</param>
    /// <returns>The new stream.</returns>
    Tensor Feed(BlockLayers layers, Tensor tokens);
}

/// <summary>A linear layer of a backend that can also run what lies around it.</summary>
public interface IBackendLinear : ILinear
{
    /// <summary>The backend.</summary>
    IBlockBackend Backend { get; }
}

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
