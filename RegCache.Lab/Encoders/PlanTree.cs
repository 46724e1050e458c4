namespace RegCache.Lab.Encoders;

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
