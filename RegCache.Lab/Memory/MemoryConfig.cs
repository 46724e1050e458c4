using System.Globalization;
using System.Text.Json.Nodes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Memory;

/// <summary>
/// The memory layers of a vision tower: which blocks have one in place of their MLP, and its sizes (docs/methods/memory.md). Part of the
/// architecture; in JSON the object <c>memory_cfg</c> of <c>vision_cfg</c>, with the names in parentheses. Compares by value.
/// </summary>
public sealed record MemoryConfig
{
    /// <summary>The value width that stands for the tower's own.</summary>
    public const int TowerWidth = -1;

    /// <summary>The blocks with a memory, 0-based, ascending (<c>layers</c>, a comma list).</summary>
    public required ValueList<int> Blocks { get; init; }

    /// <summary>Sub-keys n of each half of a query; the table has n^2 slots (<c>mem_n_keys</c>).</summary>
    public int SubKeys { get; init; } = 8;

    /// <summary>Reading heads H; what they read is summed (<c>mem_heads</c>).</summary>
    public int Heads { get; init; } = 2;

    /// <summary>Slots k that a head reads for a token, at most <see cref="SubKeys"/> (<c>mem_knn</c>).</summary>
    public int Neighbours { get; init; } = 4;

    /// <summary>Channels K of a head's query and of a whole key, even (<c>mem_k_dim</c>).</summary>
    public int KeyWidth { get; init; } = 256;

    /// <summary>Channels V of a value; <see cref="TowerWidth"/> means the tower's own width (<c>mem_v_dim</c>).</summary>
    public int ValueWidth { get; init; } = 256;

    /// <summary>Whether what was read is multiplied by SiLU of a projection of the token (<c>swilu_projection</c>); not with <see cref="Experts"/>.</summary>
    public bool SiluGate { get; init; } = true;

    /// <summary>Whether all layers read one table (<c>mem_share_values</c>).</summary>
    public bool ShareValues { get; init; } = true;

    /// <summary>Whether the output is multiplied by one sigmoid gate a token (<c>mem_gated</c>).</summary>
    public bool ScalarGate { get; init; }

    /// <summary>Whether a slot is an expert of one hidden unit, read by its own GELU, instead of a value (<c>peer_variant</c>).</summary>
    public bool Experts { get; init; }

    /// <summary>Number of slots n^2.</summary>
    public long Slots => (long)SubKeys * SubKeys;

    /// <summary>Slots that a token reads, H k.</summary>
    public int Reads => Heads * Neighbours;

    /// <summary>Whether there is a SiLU gate: not with <see cref="Experts"/>, which have a non-linearity of their own.</summary>
    public bool HasSiluGate => SiluGate && !Experts;

    /// <summary>Whether what was read passes a linear layer: when its width was given, or is gated.</summary>
    public bool HasProjection => !Experts && (SiluGate || ValueWidth != TowerWidth);

    /// <summary>The blocks of the automatic rule: every second one from block 2 on.</summary>
    /// <param name="layers">Blocks of the tower.</param>
    public static ValueList<int> EverySecondBlock(int layers) => [.. Enumerable.Range(0, layers).Where(block => block >= 2 && block % 2 == 0)];

    /// <summary>Reads a comma list of block numbers, as <c>2,4,6</c>, in any order.</summary>
    /// <param name="text">The list.</param>
    /// <param name="name">What the list is called, for messages.</param>
    /// <exception cref="UserException">It is no such list, or names a block twice.</exception>
    public static ValueList<int> ParseBlocks(string text, string name)
    {
        var parts = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var blocks = new SortedSet<int>();
        foreach (var part in parts)
        {
            if (!int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var block) || !blocks.Add(block))
            {
                throw new UserException($"{name} must be block numbers such as 2,4,6, each once, not '{text}'.");
            }
        }

        return [.. blocks];
    }

    /// <summary>Channels of a value in a tower.</summary>
    /// <param name="width">The tower's width.</param>
    public int Values(int width) => ValueWidth == TowerWidth || Experts ? width : ValueWidth;

    /// <summary>Multiply-accumulates of a layer for one token.</summary>
    /// <param name="width">The tower's width.</param>
    public long MacsPerToken(int width)
    {
        long values = Values(width);
        var projections = width * (((long)Heads * KeyWidth) + (HasSiluGate ? values : 0) + (ScalarGate ? 1 : 0) + (HasProjection ? values : 0));
        var scores = (long)Heads * SubKeys * KeyWidth;
        return projections + scores + ((Experts ? 2 : 1) * Reads * values);
    }

    /// <summary>The same configuration, if it makes sense in a tower.</summary>
    /// <param name="vision">The tower.</param>
    /// <param name="source">Where it comes from, for messages.</param>
    /// <exception cref="UserException">Its numbers do not fit together or not the tower.</exception>
    public MemoryConfig Validated(VisionConfig vision, string source)
    {
        void Require(bool holds, string why)
        {
            if (!holds)
            {
                throw new UserException($"{source}: {why}.");
            }
        }

        Require(SubKeys >= 1, $"`mem_n_keys` is {SubKeys}, but must be at least 1");
        Require(Heads >= 1, $"`mem_heads` is {Heads}, but must be at least 1");
        Require(
            Neighbours >= 1 && Neighbours <= SubKeys,
            $"`mem_knn` is {Neighbours}, but a head can only read 1 to `mem_n_keys` = {SubKeys} slots; lower it or raise `mem_n_keys`");
        Require(KeyWidth >= 2 && KeyWidth % 2 == 0, $"`mem_k_dim` is {KeyWidth}, but must be even, as a key has two halves");
        Require(ValueWidth is TowerWidth or >= 1, $"`mem_v_dim` is {ValueWidth}, but must be at least 1, or -1 for the tower's width");
        Require(
            !Experts || ValueWidth == TowerWidth || ValueWidth == vision.Width,
            $"`mem_v_dim` is {ValueWidth}, but experts (`peer_variant`) have the tower's width {vision.Width}; give -1");
        var outside = Blocks.Where(block => block < 0 || block >= vision.Layers).ToList();
        Require(
            outside.Count == 0,
            $"a memory is asked for in block {string.Join(", ", outside)}, but the vision tower has blocks 0 to {vision.Layers - 1}");
        Require(
            Blocks.Count > 0,
            $"no block has a memory: the automatic rule takes every second block from 2 on, and the tower has {vision.Layers}; name the blocks (`layers`)");
        return this;
    }

    /// <summary>Names, after the block's <c>mlp.</c>, and shapes of a layer's tensors, in the order of the fork's checkpoints.</summary>
    /// <param name="width">The tower's width D.</param>
    /// <param name="block">The block; where tables are shared, those of the first one come first and those of the others last.</param>
    internal IEnumerable<(string Name, long[] Shape)> Parameters(int width, int block)
    {
        var values = Values(width);
        (string, long[])[] tables = Experts
            ? [(MemoryNames.ExpertsIn, [Slots, values]), (MemoryNames.ExpertsOut, [Slots, values])]
            : [(MemoryNames.Values, [Slots, values])];
        (string, long[])[] Linear(string name, long outputs, long inputs) => [($"{name}.weight", [outputs, inputs]), ($"{name}.bias", [outputs])];
        var ownsTable = !ShareValues || block == Blocks[0];
        return
        [
            (MemoryNames.Keys, [2L * Heads * SubKeys, KeyWidth / 2]),
            .. ownsTable ? tables : [],
            .. HasProjection ? Linear(MemoryNames.Projection, width, values) : [],
            .. HasSiluGate ? Linear(MemoryNames.SiluGate, values, width) : [],
            .. ScalarGate ? Linear(MemoryNames.ScalarGate, 1, width) : [],
            .. Linear(MemoryNames.Query, (long)Heads * KeyWidth, width),
            .. ownsTable ? [] : tables,
        ];
    }

    /// <summary>Reads the object <c>memory_cfg</c>. What it leaves out has the fork's values; without <c>layers</c> the automatic rule holds.</summary>
    internal static MemoryConfig Parse(JsonFields fields, VisionConfig vision)
    {
        var blocks = fields.Text("layers");
        var config = new MemoryConfig { Blocks = blocks is null ? EverySecondBlock(vision.Layers) : ParseBlocks(blocks, $"{fields.Source}: `memory_cfg.layers`") };
        config = config with
        {
            SubKeys = fields.Int("mem_n_keys", config.SubKeys, maximum: 1 << 15),
            Heads = fields.Int("mem_heads", config.Heads),
            Neighbours = fields.Int("mem_knn", config.Neighbours),
            KeyWidth = fields.Int("mem_k_dim", config.KeyWidth),
            ValueWidth = fields.Int("mem_v_dim", config.ValueWidth, TowerWidth),
            SiluGate = fields.Bool("swilu_projection", config.SiluGate),
            ShareValues = fields.Bool("mem_share_values", config.ShareValues),
            ScalarGate = fields.Bool("mem_gated", config.ScalarGate),
            Experts = fields.Bool("peer_variant", config.Experts),
        };
        fields.RefuseUnread();
        return config.Validated(vision, fields.Source);
    }

    /// <summary>The object <c>memory_cfg</c>.</summary>
    internal JsonObject ToJson() => new()
    {
        ["layers"] = string.Join(',', Blocks),
        ["mem_n_keys"] = SubKeys,
        ["mem_heads"] = Heads,
        ["mem_knn"] = Neighbours,
        ["mem_k_dim"] = KeyWidth,
        ["mem_v_dim"] = ValueWidth,
        ["swilu_projection"] = SiluGate,
        ["mem_share_values"] = ShareValues,
        ["mem_gated"] = ScalarGate,
        ["peer_variant"] = Experts,
    };
}

/// <summary>How the fork's checkpoints call the tensors of a memory layer, after <c>visual.transformer.resblocks.N.mlp.</c></summary>
internal static class MemoryNames
{
    public const string Keys = "keys";
    public const string Values = "values.weight";
    public const string ExpertsIn = "values_u.weight";
    public const string ExpertsOut = "values_v.weight";
    public const string Projection = "value_proj";
    public const string SiluGate = "swilu_projection";
    public const string ScalarGate = "gating";
    public const string Query = "query_proj.query_mlps.0";

    private static readonly string[] _all = [Keys, Values, ExpertsIn, ExpertsOut, $"{Projection}.", $"{SiluGate}.", $"{ScalarGate}.", $"{Query}."];

    /// <summary>What the names of a block's MLP slot begin with.</summary>
    public static string Slot(int block) => $"visual.transformer.resblocks.{block}.mlp.";

    /// <summary>A number for each of a layer's tensors, whatever the layer's variant.</summary>
    /// <param name="part">The name behind the slot's.</param>
    public static int Place(string part) =>
        (2 * Array.FindIndex(_all, start => part.StartsWith(start, StringComparison.Ordinal))) + (part.EndsWith(".bias", StringComparison.Ordinal) ? 1 : 0);

    /// <summary>Whether a name ends as a table's does.</summary>
    public static bool IsTable(string name) =>
        new[] { Values, ExpertsIn, ExpertsOut }.Any(table => name.EndsWith($".mlp.{table}", StringComparison.Ordinal));

    /// <summary>Whether a tensor belongs to a memory layer.</summary>
    public static bool IsMemory(string name) =>
        name.StartsWith("visual.", StringComparison.Ordinal)
        && name.IndexOf(".mlp.", StringComparison.Ordinal) is >= 0 and var place
        && _all.Any(part => name.AsSpan(place + ".mlp.".Length).StartsWith(part, StringComparison.Ordinal));
}
