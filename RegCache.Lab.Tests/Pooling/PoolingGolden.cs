using System.Globalization;
using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Pooling;

namespace RegCache.Lab.Tests.Pooling;

/// <summary>One file of reference values: its tensors, and its settings, which stand in its metadata.</summary>
internal sealed class PoolingGolden
{
    public const string Area = "dynamic-pooling";
    public const double Values = 2e-5;
    public const double Losses = 1e-5;
    public const double Gradients = 1e-4;

    private readonly Dictionary<string, Tensor> _tensors;
    private readonly IReadOnlyDictionary<string, string> _settings;

    public PoolingGolden(string name)
    {
        _tensors = GoldenTensors.Load(Area, $"{name}.safetensors");
        using var file = WeightFile.Open(Goldens.Path(Area, $"{name}.safetensors"));
        _settings = file.Metadata;
    }

    public IEnumerable<string> Names => _tensors.Keys;

    public Tensor this[string name] => _tensors[name];

    public bool Has(string name) => _tensors.ContainsKey(name);

    /// <summary>A leaf with a gradient of its own.</summary>
    public Tensor Leaf(string name) => _tensors[name].detach().clone().requires_grad_();

    public double Number(string setting) => double.Parse(_settings[setting], CultureInfo.InvariantCulture);

    public int Integer(string setting) => int.Parse(_settings[setting], CultureInfo.InvariantCulture);

    public string Text(string setting) => _settings[setting];

    public JsonElement Json(string setting)
    {
        using var document = JsonDocument.Parse(_settings[setting]);
        return document.RootElement.Clone();
    }

    /// <summary>The tensors after a prefix, as leaves under their own names.</summary>
    public WeightTable Weights(string prefix = "w.") => new("golden", _tensors.Keys
        .Where(name => name.StartsWith(prefix, StringComparison.Ordinal))
        .Select(name => KeyValuePair.Create(name[prefix.Length..], Leaf(name))));

    /// <summary>An MLP predictor on some tensors.</summary>
    public static MlpBoundaryPredictor Predictor(WeightTable weights, string name = "boundary_predictor")
    {
        var shape = weights[$"{name}.0.weight"].shape;
        return MlpBoundaryPredictor.From(weights, name, (int)shape[1], (int)shape[0]);
    }

    /// <summary>Asserts closeness in the sense of the files' README: |a - b| at most the tolerance times max(1, max |b|).</summary>
    public void AssertClose(string name, Tensor actual, double tolerance)
    {
        var expected = _tensors[name];
        using var scope = torch.NewDisposeScope();
        var largest = expected.NumberOfElements == 0 ? 1 : Math.Max(1, expected.abs().max().ToDouble());
        Assert.True(expected.shape.SequenceEqual(actual.shape), $"{name}: shape [{string.Join(',', actual.shape)}]");
        var worst = expected.NumberOfElements == 0 ? 0 : (actual.detach().to(torch.ScalarType.Float64) - expected.to(torch.ScalarType.Float64)).abs().max().ToDouble();
        Assert.True(worst <= tolerance * largest, $"{name} is off by {worst:g3}");
    }

    /// <summary>Asserts that decisions are the same, whatever the type.</summary>
    public void AssertSame(string name, Tensor actual)
    {
        using var scope = torch.NewDisposeScope();
        Assert.True(_tensors[name].shape.SequenceEqual(actual.shape), $"{name}: shape [{string.Join(',', actual.shape)}]");
        Assert.True(_tensors[name].to(torch.ScalarType.Float64).eq(actual.detach().to(torch.ScalarType.Float64)).all().item<bool>(), $"{name} differs");
    }

    /// <summary>A gradient; one that is absent is zero, as in the files.</summary>
    public void AssertGradient(string name, Tensor leaf) =>
        AssertClose(name, leaf.grad ?? torch.zeros_like(leaf), Gradients);
}
