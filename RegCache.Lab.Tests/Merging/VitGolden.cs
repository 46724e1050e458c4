using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using TorchSharp;

namespace RegCache.Lab.Tests.Merging;

/// <summary>The plain ViT, its input and the expected values of the token merging golden.</summary>
public sealed class VitGolden : IDisposable
{
    private readonly Dictionary<string, torch.Tensor> _tensors = GoldenTensors.Load("token-merging", "vit.safetensors");
    private readonly IReadOnlyDictionary<string, string> _metadata;

    public VitGolden()
    {
        using var file = WeightFile.Open(Goldens.Path("token-merging", "vit.safetensors"));
        _metadata = file.Metadata;
        Model = Create("weights");
        Distilled = Create("distilled_weights");

        // The pooled model is the plain one with the head's own norm in place of the final one.
        var pooled = Named("weights").Where(pair => !pair.Key.StartsWith("norm.", StringComparison.Ordinal)).ToDictionary();
        pooled["fc_norm.weight"] = _tensors["pool_fc_norm.weight"];
        pooled["fc_norm.bias"] = _tensors["pool_fc_norm.bias"];
        Pooled = VitClassifierLoader.FromTensors("the golden model", pooled, Options);
    }

    public ClipModel Model { get; }

    public ClipModel Distilled { get; }

    public ClipModel Pooled { get; }

    public torch.Tensor Input => _tensors["input"];

    public (int Rows, int Columns) Grid => Pair("grid");

    public IEnumerable<string> Names => _tensors.Keys;

    public torch.Tensor this[string name] => _tensors[name];

    public bool Has(string name) => _tensors.ContainsKey(name);

    public static JsonElement Metadata(string name)
    {
        using var file = WeightFile.Open(Goldens.Path("token-merging", "vit.safetensors"));
        return JsonDocument.Parse(file.Metadata[name]).RootElement;
    }

    public void Dispose()
    {
        Model.Dispose();
        Distilled.Dispose();
        Pooled.Dispose();
    }

    private VitClassifierOptions Options => new()
    {
        Heads = int.Parse(_metadata["num_heads"]),
        ImageSize = Pair("img_size"),
        Epsilon = double.Parse(_metadata["norm_eps"]),
    };

    private (int, int) Pair(string name) =>
        JsonSerializer.Deserialize<int[]>(_metadata[name]) is [var first, var second] ? (first, second) : throw new InvalidDataException(name);

    private ClipModel Create(string prefix) => VitClassifierLoader.FromTensors("the golden model", Named(prefix), Options);

    private Dictionary<string, torch.Tensor> Named(string prefix) => _tensors
        .Where(pair => pair.Key.StartsWith($"{prefix}/", StringComparison.Ordinal))
        .ToDictionary(pair => pair.Key[(prefix.Length + 1)..], pair => pair.Value);
}
