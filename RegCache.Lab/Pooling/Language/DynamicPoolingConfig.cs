using System.Text.Json.Serialization;

namespace RegCache.Lab.Pooling.Language;

/// <summary>The architecture of a language model with dynamic token pooling (docs/methods/dynamic-pooling.md, "The language model").</summary>
public sealed record DynamicPoolingConfig
{
    /// <summary>Symbols V.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>Channels C.</summary>
    public int Width { get; init; } = 512;

    /// <summary>Attention heads.</summary>
    public int Heads { get; init; } = 8;

    /// <summary>Channels of a head.</summary>
    public int HeadWidth { get; init; } = 64;

    /// <summary>Channels inside the MLPs and the boundary predictor.</summary>
    public int Inner { get; init; } = 2048;

    /// <summary>Layers on characters before pooling; all layers where nothing is pooled.</summary>
    public int LayersBefore { get; init; } = 2;

    /// <summary>Layers on pooled rows.</summary>
    public int LayersPooled { get; init; } = 8;

    /// <summary>Layers on characters after pooling.</summary>
    public int LayersAfter { get; init; } = 2;

    /// <summary>How boundaries are found, an entry of <see cref="BoundaryTypes.All"/>.</summary>
    public string Boundaries { get; init; } = "gumbel";

    /// <summary>Characters between two fixed boundaries.</summary>
    public int FixedFactor { get; init; } = 2;

    /// <summary>Earlier positions that an entropy spike has to exceed.</summary>
    public int SpikeWindow { get; init; } = 2;

    /// <summary>Temperature of the Gumbel-sigmoid.</summary>
    public double Temperature { get; init; } = 0.5;

    /// <summary>The rate that the binomial prior asks for.</summary>
    public double Prior { get; init; } = 0.2;

    /// <summary>Whether the supervised loss takes the sigmoid twice, as upstream does.</summary>
    public bool LegacyBoundaryLoss { get; init; }

    /// <summary>The entry of the boundary type.</summary>
    [JsonIgnore]
    public BoundaryType Type => BoundaryTypes.All.Find(Boundaries);

    /// <summary>Layers of the three stacks.</summary>
    [JsonIgnore]
    public IReadOnlyList<int> Stacks => Type.Pools ? [LayersBefore, LayersPooled, LayersAfter] : [LayersBefore];

    /// <summary>Names and shapes of all tensors, in checkpoint order; `pos_emb.inv_freq` is no parameter.</summary>
    [JsonIgnore]
    public IReadOnlyList<(string Name, long[] Shape)> Tensors =>
    [
        ("word_emb.weight", [Vocabulary, Width]),
        ("pos_emb.inv_freq", [Width / 2]),
        ("r_w_bias", [Heads, HeadWidth]),
        ("r_r_bias", [Heads, HeadWidth]),
        .. Type.Pools ? new (string, long[])[] { ("null_group", [1, 1, Width]) } : [],
        .. Stacks.SelectMany((layers, stack) => Enumerable.Range(0, layers).SelectMany(
            layer => RelativeLayer.Parameters($"layers.{stack}.{layer}.", Width, Heads * HeadWidth, Inner))),
        .. Type.Pools ? new (string, long[])[] { ("down_ln.weight", [Width]), ("down_ln.bias", [Width]) } : [],
        .. Type.Learn is null ? [] : new (string, long[])[]
        {
            ("boundary_predictor.boundary_predictor.0.weight", [Inner, Width]), ("boundary_predictor.boundary_predictor.0.bias", [Inner]),
            ("boundary_predictor.boundary_predictor.2.weight", [1, Inner]), ("boundary_predictor.boundary_predictor.2.bias", [1]),
        },
        ("final_cast.weight", [Vocabulary, Width]),
        ("final_cast.bias", [Vocabulary]),
    ];

    /// <summary>Number of parameters.</summary>
    [JsonIgnore]
    public long Parameters => Tensors.Where(tensor => tensor.Name != DynamicPoolingLm.Frequencies).Sum(tensor => tensor.Shape.Aggregate(1L, (product, size) => product * size));

    /// <summary>The same after a check.</summary>
    /// <exception cref="UserException">A size or a rate is impossible; the message names it.</exception>
    public DynamicPoolingConfig Validated()
    {
        var type = Type;
        var sizes = new (string Name, int Value, int Least)[]
        {
            ("the vocabulary", Vocabulary, 1), ("d_model", Width, 2), ("n_head", Heads, 1), ("d_head", HeadWidth, 1), ("d_inner", Inner, 1),
            ("the number of layers before pooling", LayersBefore, type.Pools ? 0 : 1), ("the number of pooled layers", LayersPooled, 0),
            ("the number of layers after pooling", LayersAfter, 0), ("fixed_sf", FixedFactor, 1), ("spikes_left", SpikeWindow, 1),
        };
        foreach (var (name, value, least) in sizes.Where(size => size.Value < size.Least))
        {
            throw new UserException($"The language model: {name} is {value}, but must be at least {least}.");
        }

        if (Width % 2 != 0)
        {
            throw new UserException($"The language model: d_model is {Width}, but must be even, since distances have as many sines as cosines.");
        }

        if (!type.Pools && LayersPooled + LayersAfter > 0)
        {
            throw new UserException(
                $"The language model: boundaries of type none pool nothing, but {LayersPooled} pooled layers and {LayersAfter} behind them are asked for; "
                + $"write [{LayersBefore + LayersPooled + LayersAfter}, (0,), 0].");
        }

        BoundaryLosses.RequireRate(Prior, "The prior of the boundary rate");
        return Temperature > 0 && double.IsFinite(Temperature)
            ? this
            : throw new UserException($"The language model: the temperature is {Temperature}, but must be a number above 0, such as 0.5.");
    }
}
