using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Memory;

/// <summary>Finds memory layers in checkpoints of the fork and of this kit, by the names and shapes of their tensors.</summary>
internal static class MemoryCheckpoint
{
    private const int ForkNeighbours = 4;

    /// <summary>Whether a checkpoint has memory layers.</summary>
    public static bool IsIn(StateDict state) => state.Tensors.Any(entry => MemoryNames.IsTable(entry.Name));

    /// <summary>
    /// The configuration with the memory layers that the checkpoint has, where it describes none. How many slots a head reads does not show
    /// in the shapes; it is taken to be as in the fork.
    /// </summary>
    /// <param name="config">The configuration.</param>
    /// <param name="state">The tensors.</param>
    /// <param name="assumptions">Receives what was assumed; null for nobody.</param>
    /// <exception cref="UserException">The tensors are those of no memory layer.</exception>
    public static ClipConfig Complete(ClipConfig config, StateDict state, ICollection<string>? assumptions)
    {
        if (config.Vision.Memory is not null || !IsIn(state))
        {
            return config;
        }

        int[] blocks = [.. Enumerable.Range(0, config.Vision.Layers).Where(block => state.Contains(MemoryNames.Slot(block) + MemoryNames.Keys))];
        if (blocks.Length == 0)
        {
            throw new UserException($"{state.Source} has the table of a memory, but no `{MemoryNames.Keys}` in any of its {config.Vision.Layers} blocks; it is no checkpoint of memory layers.");
        }

        var first = MemoryNames.Slot(blocks[0]);
        var isExperts = state.Contains(first + MemoryNames.ExpertsIn);
        var tableName = isExperts ? MemoryNames.ExpertsIn : MemoryNames.Values;
        var (slots, values) = Matrix(state, first + tableName);
        var (keyRows, half) = Matrix(state, first + MemoryNames.Keys);
        var subKeys = (int)Math.Round(Math.Sqrt(slots));
        if ((long)subKeys * subKeys != slots || keyRows % (2 * subKeys) != 0)
        {
            throw new UserException(
                $"{state[first + MemoryNames.Keys]} and {state[first + tableName]} in {state.Source} belong to no product-key memory: n^2 slots need 2 H n rows of keys.");
        }

        // Only separate tables can differ.
        string[] copies = [.. blocks.Select(block => MemoryNames.Slot(block) + tableName).Where(state.Contains)];
        var isShared = copies.Length < blocks.Length || copies.Skip(1).All(copy => HoldSame(state[copies[0]], state[copy]));
        var memory = new MemoryConfig
        {
            Blocks = [.. blocks],
            SubKeys = subKeys,
            Heads = keyRows / (2 * subKeys),
            Neighbours = Math.Min(ForkNeighbours, subKeys),
            KeyWidth = 2 * half,
            ValueWidth = isExperts || !state.Contains($"{first}{MemoryNames.Projection}.weight") ? MemoryConfig.TowerWidth : values,
            SiluGate = state.Contains($"{first}{MemoryNames.SiluGate}.weight"),
            ShareValues = isShared,
            ScalarGate = state.Contains($"{first}{MemoryNames.ScalarGate}.weight"),
            Experts = isExperts,
        };
        assumptions?.Add(
            $"The weights hold memory layers in blocks {memory.Blocks} ({memory.Slots} slots, {memory.Heads} heads, {(isShared ? "one table" : "a table each, as the tables differ")}); each head is taken to read {memory.Neighbours} slots, as in the fork, which the weights do not tell (`memory_cfg.mem_knn` does).");
        return config with { Vision = config.Vision with { Memory = memory.Validated(config.Vision, state.Source) } };
    }

    /// <summary>The tensors with all names of a shared table, of which some files hold the first alone.</summary>
    public static StateDict WithAliases(StateDict state, VisionConfig vision)
    {
        if (vision.Memory is not { ShareValues: true } memory)
        {
            return state;
        }

        WeightEntry[] missing =
        [
            .. from block in memory.Blocks.Skip(1)
               from parameter in memory.Parameters(vision.Width, block)
               let name = MemoryNames.Slot(block) + parameter.Name
               where MemoryNames.IsTable(name) && !state.Contains(name)
               let owner = state.Find(MemoryNames.Slot(memory.Blocks[0]) + parameter.Name)
               where owner is not null
               select owner.Rename(name),
        ];
        return missing.Length == 0 ? state : new StateDict(state.Source, [.. state.Tensors, .. missing]) { Unreadable = state.Unreadable };
    }

    private static bool HoldSame(WeightEntry left, WeightEntry right)
    {
        if (left.Type != right.Type || !left.Shape.SequenceEqual(right.Shape))
        {
            return false;
        }

        using var scope = torch.NewDisposeScope();
        return WeightTable.HoldSame(left.ToTensor(), right.ToTensor());
    }

    private static (int Rows, int Columns) Matrix(StateDict state, string name) =>
        state[name].Shape is [> 0 and <= int.MaxValue and var rows, > 0 and <= int.MaxValue and var columns]
            ? ((int)rows, (int)columns)
            : throw new UserException($"{state.Source}: {state[name]} is no matrix, so it belongs to no memory layer.");
}
