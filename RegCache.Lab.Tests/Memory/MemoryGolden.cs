using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Memory;

namespace RegCache.Lab.Tests.Memory;

/// <summary>The reference values of the memory layers and of the tiny student, built as the kit builds them.</summary>
internal static class MemoryGolden
{
    public const string Area = "memory-clip";

    public static JsonElement Read(string file)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Goldens.Path(Area, file)));
        return document.RootElement.Clone();
    }

    /// <summary>The memory of a JSON object with the fork's names.</summary>
    public static MemoryConfig Config(JsonElement json, ValueList<int> blocks)
    {
        int Int(string name, int fallback) => json.TryGetProperty(name, out var value) ? value.GetInt32() : fallback;
        bool Bool(string name, bool fallback) => json.TryGetProperty(name, out var value) ? value.GetBoolean() : fallback;
        return new()
        {
            Blocks = blocks,
            SubKeys = Int("mem_n_keys", 1024),
            Heads = Int("mem_heads", 4),
            Neighbours = Int("mem_knn", 32),
            KeyWidth = Int("mem_k_dim", 512),
            ValueWidth = Int("mem_v_dim", MemoryConfig.TowerWidth),
            SiluGate = Bool("swilu_projection", true),
            ShareValues = Bool("mem_share_values", true),
            ScalarGate = Bool("mem_gated", false),
            Experts = Bool("peer_variant", false),
        };
    }

    /// <summary>A layer on tensors under the names of a checkpoint, as in block 0 of a tower of one block.</summary>
    public static (MemoryLayer Layer, WeightTable Weights) Layer(MemoryConfig config, int width, IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        var weights = new WeightTable("golden", tensors.Select(pair => KeyValuePair.Create("visual.transformer.resblocks.0.mlp." + pair.Key, pair.Value)));
        return (MemoryLayers.Build(new VisionConfig { Layers = 1, Width = width, Memory = config }, weights)[0], weights);
    }

    /// <summary>The tiny teacher.</summary>
    public static ClipModel Teacher()
    {
        using var file = WeightFile.Open(Goldens.Path(Area, "tiny_memory_clip.safetensors"));
        return new(TeacherConfig, new WeightTable("the golden teacher", Tensors(file, "teacher.")));
    }

    /// <summary>The tiny student.</summary>
    public static ClipModel Student()
    {
        using var file = WeightFile.Open(Goldens.Path(Area, "tiny_memory_clip.safetensors"));
        var state = new StateDict("the golden student", [.. StudentState(file)]);
        var config = TeacherConfig with { Vision = TeacherConfig.Vision with { Memory = Memory } };
        return new(config, StateDictLoader.Fit(state, config).ToWeightTable());
    }

    public static ClipConfig TeacherConfig => ClipConfigJson.Parse(Read("tiny_memory_clip.json").GetProperty("model_cfg"), "golden") with { NonscalarLogitScale = true };

    public static MemoryConfig Memory
    {
        get
        {
            var json = Read("tiny_memory_clip.json").GetProperty("memory");
            return Config(json, MemoryConfig.ParseBlocks(json.GetProperty("layers").GetString()!, "layers"));
        }
    }

    /// <summary>The student's whole state dict under the fork's names, with every alias of the table, in the fork's order.</summary>
    public static IEnumerable<WeightEntry> StudentState(WeightFile file) =>
        Read("tiny_memory_clip.json").GetProperty("student_state_dict").EnumerateObject().Select(entry =>
            entry.Name.EndsWith("values.weight", StringComparison.Ordinal) ? file["student_values"].Rename(entry.Name)
            : (file.Tensors.FirstOrDefault(tensor => tensor.Name == $"student.{entry.Name}") ?? file[$"teacher.{entry.Name}"]).Rename(entry.Name));

    private static IEnumerable<KeyValuePair<string, Tensor>> Tensors(WeightFile file, string prefix) =>
        file.Tensors.Where(entry => entry.Name.StartsWith(prefix, StringComparison.Ordinal))
            .Select(entry => KeyValuePair.Create(entry.Name[prefix.Length..], entry.ToTensor()));
}
