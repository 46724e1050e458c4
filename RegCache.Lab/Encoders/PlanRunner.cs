namespace RegCache.Lab.Encoders;

/// <summary>
/// Runs many plans on one encoder. For each batch every distinct chain of blocks runs once, depth first, and a state is
/// released as soon as its last branch has left it. Results equal those of running each plan alone, bit for bit.
/// </summary>
public sealed class PlanRunner : IDisposable
{
    private const long DefaultKeptBytes = 4L << 30;

    private readonly IImageTower _whole;
    private readonly long _mostKeptBytes;
    private readonly Dictionary<(ILayerTransform Transform, int Block), BlockLayers> _boundLayers = [];
    private readonly List<IDisposable> _owned = [];
    private long _keptBytes;
    private int _states;

    /// <summary>Creates a runner; it keeps the layers that transforms make (quantized weights) until disposed.</summary>
    /// <param name="tower">The encoder; of one without seams the plan without blocks can be run alone.</param>
    /// <param name="mostKeptBytes">
    /// Layers beyond this many bytes are made again for every batch, so that a search over many calibrations fits in memory.
    /// </param>
    public PlanRunner(IImageTower tower, long mostKeptBytes = DefaultKeptBytes) =>
        (_whole, _mostKeptBytes) = (tower, mostKeptBytes);

    /// <summary>The most states of the token stream that were alive at once.</summary>
    public int PeakStates { get; private set; }

    /// <summary>Number of block forwards so far.</summary>
    public long BlockForwards { get; private set; }

    /// <summary>Runs all plans of a tree on a batch.</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="tree">The plans.</param>
    /// <param name="consume">Receives a plan's index and its image features [B,E], which are released after the call.</param>
    /// <param name="isActive">Whether a plan is still wanted; null runs all.</param>
    /// <param name="probe">Observer of the activations of every block that runs, or null.</param>
    public void Run(
        Tensor images,
        PlanTree tree,
        Action<int, Tensor> consume,
        Func<int, bool>? isActive = null,
        IActivationProbe? probe = null)
    {
        using var noGradient = torch.no_grad();
        if (_whole is not VisionTower && tree.IsPlain)
        {
            RunWhole(images, tree, consume, isActive);
            return;
        }

        var visit = new Visit(this, consume, isActive ?? (static _ => true), probe);
        foreach (var (embedding, node) in tree.Roots)
        {
            if (node.PlansBelow.Any(visit.IsActive))
            {
                using var scope = torch.NewDisposeScope();
                visit.Descend(node, 0, Arrive(Tower.Embed(images, embedding)));
            }
        }
    }

    /// <summary>Runs one plan on a batch.</summary>
    /// <returns>Image features [B,E], not normalised.</returns>
    public Tensor Run(Tensor images, EncoderPlan plan, IActivationProbe? probe = null)
    {
        Tensor? features = null;
        Run(images, new PlanTree([plan]), (_, result) => features = result.alias().DetachFromDisposeScope(), probe: probe);
        torch.CurrentDisposeScope?.Attach(features!);
        return features!;
    }

    /// <summary>Runs one plan on a batch and returns the stream that leaves its blocks, for those who look into it.</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="plan">The plan.</param>
    /// <param name="blocks">How many blocks to run; null runs all.</param>
    /// <param name="probe">Observer of the activations, or null.</param>
    /// <param name="passed">Shown the stream that leaves each block, after -1 for the one that enters block 0, or null.</param>
    public TokenBatch Forward(
        Tensor images, EncoderPlan plan, int? blocks = null, IActivationProbe? probe = null, Action<int, TokenBatch>? passed = null)
    {
        using var noGradient = torch.no_grad();
        return TensorScope.Run(() =>
        {
            var stream = Tower.Embed(images, plan.Embedding);
            passed?.Invoke(-1, stream);
            for (var block = 0; block < (blocks ?? plan.Blocks.Count); block++)
            {
                var next = RunBlock(stream, block, plan.Blocks[block], probe);
                stream.Tokens.Dispose();
                stream = next;
                passed?.Invoke(block, stream);
            }

            return stream;
        });
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var disposable in _owned)
        {
            disposable.Dispose();
        }

        _owned.Clear();
        _boundLayers.Clear();
        _keptBytes = 0;
    }

    private VisionTower Tower => _whole.RequireBlocks();

    private void RunWhole(Tensor images, PlanTree tree, Action<int, Tensor> consume, Func<int, bool>? isActive)
    {
        int[] wanted = [.. Enumerable.Range(0, tree.Plans.Count).Where(plan => isActive?.Invoke(plan) is not false)];
        if (wanted.Length > 0)
        {
            using var features = _whole.Encode(images);
            Array.ForEach(wanted, plan => consume(plan, features));
        }
    }

    private TokenBatch RunBlock(TokenBatch state, int block, BlockPlan plan, IActivationProbe? probe, int? keepTokens = null) =>
        TensorScope.Run(() => TransformerBlock.Forward(state, block, LayersOf(block, plan), plan, probe: probe, keepTokens: keepTokens));

    // Made layers that are not kept belong to the caller's scope.
    private BlockLayers LayersOf(int block, BlockPlan plan)
    {
        if (plan.Transform is not { } transform)
        {
            return Tower.Running[block];
        }

        if (_boundLayers.TryGetValue((transform, block), out var layers))
        {
            return layers;
        }

        using var scope = torch.NewDisposeScope();
        layers = Tower.Running.Under(transform, block);
        Tensor[] made = [.. scope.DisposablesView.OfType<Tensor>()];
        var bytes = made.Sum(tensor => tensor.NumberOfElements * tensor.ElementSize);
        if (_keptBytes + bytes > _mostKeptBytes)
        {
            Array.ForEach(made, tensor => scope.MoveToOuter(tensor));
            return layers;
        }

        scope.Detach(made);
        _owned.AddRange(made);
        _keptBytes += bytes;
        return _boundLayers[(transform, block)] = layers;
    }

    private TokenBatch Arrive(TokenBatch state)
    {
        PeakStates = Math.Max(PeakStates, ++_states);
        return state;
    }

    private void Release(TokenBatch state)
    {
        // Blocks always make fresh tokens; sizes and positions may be shared with states further out, whose scopes free them.
        state.Tokens.Dispose();
        _states--;
    }

    private sealed record Visit(
        PlanRunner Runner, Action<int, Tensor> Consume, Func<int, bool> IsActive, IActivationProbe? Probe)
    {
        public void Descend(PlanTree.Node node, int block, TokenBatch state)
        {
            if (node.PlansHere.Any(IsActive))
            {
                using var features = Runner.Tower.Project(state);
                foreach (var plan in node.PlansHere.Where(IsActive))
                {
                    Consume(plan, features);
                }
            }

            var wanted = node.Children.Where(child => child.Node.PlansBelow.Any(IsActive)).ToArray();
            if (wanted.Length == 0)
            {
                Runner.Release(state);
            }

            for (var index = 0; index < wanted.Length; index++)
            {
                var (plan, child) = wanted[index];
                using var scope = torch.NewDisposeScope();
                Probe?.Enter(child.PlansBelow);
                var leading = child.Children.Count == 0 ? Runner.Tower.WantedTokens(Probe) : null;
                var next = Runner.Arrive(Runner.RunBlock(state, block, plan, Probe, leading));
                Runner.BlockForwards++;
                if (index == wanted.Length - 1)
                {
                    Runner.Release(state);
                }

                Descend(child, block + 1, next);
            }
        }
    }
}

/// <summary>
/// A list of plans arranged by what they share: a tree with one edge for every distinct chain of blocks. Plans that
/// agree up to block b share the first b+1 edges.
/// </summary>
public sealed class PlanTree
{
    /// <summary>Arranges the plans.</summary>
    /// <exception cref="ArgumentException">The plans are for encoders of different depth, or there are none.</exception>
    public PlanTree(IReadOnlyList<EncoderPlan> plans)
    {
        if (plans.Count == 0 || plans.Any(plan => plan.Blocks.Count != plans[0].Blocks.Count))
        {
            throw new ArgumentException("A plan tree needs plans, all for the same number of blocks.", nameof(plans));
        }

        Plans = plans;
        var roots = new List<(ILayerTransform? Embedding, Builder Node)>();
        for (var index = 0; index < plans.Count; index++)
        {
            var plan = plans[index];
            var node = roots.Find(root => Equals(root.Embedding, plan.Embedding)).Node;
            if (node is null)
            {
                roots.Add((plan.Embedding, node = new()));
            }

            foreach (var block in plan.Blocks)
            {
                node = node.Child(block);
            }

            node.Plans.Add(index);
        }

        Roots = [.. roots.Select(root => (root.Embedding, root.Node.Build()))];
        BlockForwards = Roots.Sum(root => root.Node.Edges);
    }

    /// <summary>The plans, in the order given.</summary>
    public IReadOnlyList<EncoderPlan> Plans { get; }

    /// <summary>Block forwards per image when every distinct chain runs once.</summary>
    public int BlockForwards { get; }

    /// <summary>Block forwards per image when every plan runs alone.</summary>
    public int BlockForwardsAlone => Plans.Count * Plans[0].Blocks.Count;

    /// <summary>Whether all plans are those of an encoder without blocks to act in, with nothing in front of them.</summary>
    internal bool IsPlain => Plans.All(plan => plan is { Blocks.Count: 0, Embedding: null });

    internal IReadOnlyList<(ILayerTransform? Embedding, Node Node)> Roots { get; }

    internal sealed record Node(IReadOnlyList<int> PlansHere, IReadOnlyList<(BlockPlan Block, Node Node)> Children)
    {
        public IReadOnlyList<int> PlansBelow { get; } =
            [.. PlansHere, .. Children.SelectMany(child => child.Node.PlansBelow)];

        public int Edges { get; } = Children.Sum(child => 1 + child.Node.Edges);
    }

    private sealed class Builder
    {
        private readonly OrderedDictionary<BlockPlan, Builder> children = [];

        public List<int> Plans { get; } = [];

        public Builder Child(BlockPlan block)
        {
            if (!children.TryGetValue(block, out var child))
            {
                children.Add(block, child = new());
            }

            return child;
        }

        // The largest subtree comes last: the state that branches is released before it, which keeps few states alive.
        public Node Build() => new(
            Plans, [.. children.Select(child => (child.Key, child.Value.Build())).OrderBy(child => child.Item2.Edges)]);
    }
}
