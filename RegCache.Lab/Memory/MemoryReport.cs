using CsvHelper;
using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Memory;

/// <summary>What memory layers do to the number of parameters.</summary>
/// <param name="Blocks">The blocks with a memory.</param>
/// <param name="Removed">Parameters of the MLPs that they replace.</param>
/// <param name="Added">Parameters of the memory layers, a shared table counted once.</param>
/// <param name="Table">Those of the tables alone.</param>
/// <param name="Vision">Parameters of the vision tower with its memories.</param>
public sealed record MemoryReport(ValueList<int> Blocks, long Removed, long Added, long Table, long Vision)
{
    /// <summary>The change of the number of parameters; negative where the memory is smaller than the MLPs.</summary>
    public long Net => Added - Removed;

    /// <summary>Counts the parameters of a model with memory layers.</summary>
    /// <exception cref="ArgumentException">It has none.</exception>
    public static MemoryReport Of(ClipConfig config)
    {
        var memory = config.Vision.Memory ?? throw new ArgumentException("The configuration has no memory layers.", nameof(config));
        long Count(ClipConfig of, Func<string, bool> isCounted) => ClipParameters.Of(of)
            .Where(parameter => isCounted(parameter.Name))
            .Sum(parameter => parameter.Shape.Aggregate(1L, (product, size) => product * size));
        bool IsAlias(string name) =>
            memory.ShareValues && MemoryNames.IsTable(name) && !name.StartsWith(MemoryNames.Slot(memory.Blocks[0]), StringComparison.Ordinal);
        var plain = config with { Vision = config.Vision with { Memory = null } };
        return new(
            memory.Blocks,
            Count(plain, name => memory.Blocks.Any(block => name.StartsWith(MemoryNames.Slot(block), StringComparison.Ordinal))),
            Count(config, name => MemoryNames.IsMemory(name) && !IsAlias(name)),
            Count(config, name => MemoryNames.IsTable(name) && !IsAlias(name)),
            Count(config, name => name.StartsWith("visual.", StringComparison.Ordinal) && !IsAlias(name)));
    }

    /// <summary>One sentence.</summary>
    public override string ToString() =>
        $"Memory layers in blocks {Blocks}: {Removed:N0} MLP parameters removed, {Added:N0} added (tables {Table:N0}), net {Net:+#,0;-#,0;0}; vision tower {Vision:N0}.";
}

/// <summary>How often a slot of a memory was read.</summary>
/// <param name="Block">The block of the memory, 0-based.</param>
/// <param name="Slot">The slot, first sub-key times n plus second.</param>
/// <param name="Reads">How often a head of a token read it.</param>
/// <param name="Weight">The sum of the weights with which it was read.</param>
[CsvRecord]
public sealed partial record SlotRow(int Block, int Slot, long Reads, double Weight);

/// <summary>
/// Statistics of which slots are read: a probe for any run of the encoder, <c>runner.Run(images, plan, usage)</c>. Where whole patches are
/// of interest, <see cref="Evaluation.Activations.Of"/> with <see cref="ActivationKind.MemorySlots"/> gives the slots of every token.
/// </summary>
public sealed class SlotUsage : IActivationProbe
{
    private readonly SortedDictionary<int, (double[] Reads, double[] Weights)> _blocks = [];
    private readonly int _slots;
    private Tensor? _pending;

    /// <summary>Starts with nothing read.</summary>
    /// <param name="config">The memory whose slots are counted.</param>
    public SlotUsage(MemoryConfig config)
    {
        _slots = (int)config.Slots;
        foreach (var block in config.Blocks)
        {
            _blocks[block] = (new double[_slots], new double[_slots]);
        }
    }

    /// <summary>One row for each slot of each memory.</summary>
    public IReadOnlyList<SlotRow> Rows =>
    [
        .. from block in _blocks
           from slot in Enumerable.Range(0, _slots)
           select new SlotRow(block.Key, slot, (long)block.Value.Reads[slot], block.Value.Weights[slot]),
    ];

    /// <summary>Share of a memory's slots that were read at least once.</summary>
    public double UsedShare(int block) => _blocks[block].Reads.Count(reads => reads > 0) / (double)_slots;

    /// <summary>Entropy of the read slots of a memory as an effective number of slots, <c>exp(-sum p ln p)</c>, from 1 to n^2; 0 before any read.</summary>
    public double EffectiveSlots(int block)
    {
        var reads = _blocks[block].Reads;
        var total = reads.Sum();
        return total == 0 ? 0 : Math.Exp(-reads.Where(count => count > 0).Sum(count => count / total * Math.Log(count / total)));
    }

    /// <inheritdoc />
    public bool Wants(int block, ActivationKind kind) =>
        kind is ActivationKind.MemorySlots or ActivationKind.MemoryWeights && _blocks.ContainsKey(block);

    /// <inheritdoc />
    public void Observe(int block, ActivationKind kind, Tensor value)
    {
        if (kind == ActivationKind.MemorySlots)
        {
            _pending = value.flatten().DetachFromDisposeScope();
            return;
        }

        using var scope = torch.NewDisposeScope();
        using var slots = _pending!;
        var (reads, weights) = _blocks[block];
        void Add(double[] sums, Tensor counts)
        {
            var added = counts.to(torch.ScalarType.Float64).cpu().data<double>();
            for (var slot = 0; slot < sums.Length; slot++)
            {
                sums[slot] += added[slot];
            }
        }

        Add(reads, torch.bincount(slots, null, _slots));
        Add(weights, torch.bincount(slots, value.detach().flatten().to(torch.ScalarType.Float64), _slots));
    }
}
