using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Placement;

namespace RegCache.Lab.Tests.Placement;

/// <summary>A golden file of classifiers: its tensors, and models made of its weights and settings.</summary>
internal sealed class PlacementGoldens(string file) : IDisposable
{
    public const string Area = "dynamic-tokens";

    private readonly IReadOnlyDictionary<string, string> _metadata = Metadata(file);

    public Dictionary<string, Tensor> Tensors { get; } = GoldenTensors.Load(Area, $"{file}.safetensors");

    /// <summary>The configurations of model.safetensors by name.</summary>
    public static IEnumerable<string> Names(string file) => JsonSerializer.Deserialize<Dictionary<string, int[]>>(Metadata(file)["configs"])!.Keys;

    public T Setting<T>(string name) => JsonSerializer.Deserialize<T>(_metadata[name])!;

    /// <summary>The shapes that all models of the file share.</summary>
    public PlacementConfig Shared() => new()
    {
        ImageSize = (Setting<int>("img_size"), Setting<int>("img_size")),
        PatchSize = (Setting<int>("patch_size"), Setting<int>("patch_size")),
        Classes = Setting<int>("num_classes"),
        Width = Setting<int>("embed_dim"),
        Depth = Setting<int>("depth"),
        Heads = Setting<int>("num_heads"),
    };

    /// <summary>One of the configurations of model.safetensors.</summary>
    public PlacementConfig Config(string name)
    {
        var places = Setting<Dictionary<string, int[]>>("configs")[name];
        return Shared() with
        {
            MlpRatio = Setting<double>("mlp_ratio"),
            QkvBias = Setting<bool>("qkv_bias"),
            Epsilon = Setting<double>("norm_eps"),
            ClassBlock = places[0],
            RegisterBlock = places[1],
            Registers = places[2],
        };
    }

    /// <summary>A model on the weights that lie under a prefix; it uses the first rows of their registers.</summary>
    public DynamicVit Model(PlacementConfig config, string prefix = "weights/", IBackend? backend = null) => new(
        config,
        new WeightTable(file, PlacementParameters.Of(config).Select(parameter =>
        {
            var tensor = Tensors[prefix + parameter.Name];
            return KeyValuePair.Create(
                parameter.Name,
                (parameter.Name == PlacementParameters.Registers ? tensor.narrow(1, 0, config.Registers) : tensor).clone());
        })),
        backend);

    public void Dispose()
    {
        foreach (var tensor in Tensors.Values)
        {
            tensor.Dispose();
        }
    }

    private static IReadOnlyDictionary<string, string> Metadata(string file)
    {
        using var opened = WeightFile.Open(Goldens.Path(Area, $"{file}.safetensors"));
        return opened.Metadata;
    }
}
