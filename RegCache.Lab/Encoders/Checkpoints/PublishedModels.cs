using System.Text.Json;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// What is known of published models and their files do not tell: the number of attention heads, by the shapes, and the activation, by
/// the tag or file name. CLIP's shapes are those of <see cref="ClipConfigs"/>; the other facts are data, in <c>published-models.json</c>.
/// </summary>
public sealed record PublishedModels
{
    private const string Resource = "RegCache.Lab.Encoders.Checkpoints.published-models.json";

    // The narrowest head of any published model. A tower of this width cannot have several.
    private const int NarrowestHead = 64;

    private static readonly JsonSerializerOptions Naming = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };
    private static readonly Lazy<PublishedModels> Loaded = new(Load);

    /// <summary>The facts that come with the kit.</summary>
    public static PublishedModels All => Loaded.Value;

    /// <summary>Vision towers of CLIP models.</summary>
    public IReadOnlyList<PublishedTower> Vision { get; } = Towers(config => (config.Vision.Width, config.Vision.Layers, config.Vision.MlpWidth, config.Vision.Heads));

    /// <summary>Text towers of CLIP models.</summary>
    public IReadOnlyList<PublishedTower> Text { get; } = Towers(config => (config.Text!.Width, config.Text.Layers, config.Text.MlpWidth, config.Text.Heads));

    /// <summary>Plain ViT classifiers of timm, DeiT and MAE.</summary>
    public required IReadOnlyList<PublishedTower> Classifier { get; init; }

    /// <summary>Which weights were trained with the quick GELU and which with the exact one. Of several rows of one tag the first that fits counts.</summary>
    public required IReadOnlyList<PublishedActivation> Activations { get; init; }

    /// <summary>Names of published weight files without a configuration that need the quick GELU.</summary>
    public required IReadOnlyList<string> QuickGeluFiles { get; init; }

    /// <summary>The heads of a tower by what is published, with the reason as a clause; null where published models do not tell.</summary>
    /// <param name="towers">The published towers of its kind.</param>
    /// <param name="width">Channels.</param>
    /// <param name="layers">Blocks.</param>
    /// <param name="mlp">Hidden channels of the MLP.</param>
    public static (int Heads, string Reason)? HeadsOf(IReadOnlyList<PublishedTower> towers, int width, int layers, int mlp)
    {
        ArgumentNullException.ThrowIfNull(towers);
        var wide = towers.Where(tower => tower.Width == width).ToList();
        var alike = wide.Where(tower => tower.Layers == layers && tower.Mlp == mlp).ToList();
        var known = alike.Count > 0 ? alike : wide;
        return known.Select(tower => tower.Heads).Distinct().ToList() switch
        {
            [var heads] => (heads, $"as in {known[0].Names[0]}"),
            [] when width == NarrowestHead => (1, $"as no published model has heads narrower than {NarrowestHead} channels"),
            _ => null,
        };
    }

    /// <summary>Whether weights need the quick GELU by what names them; null where no published weights are called so.</summary>
    /// <param name="config">Their architecture.</param>
    /// <param name="tag">Their tag in OpenCLIP's list; "-" and capitals do not matter.</param>
    /// <param name="file">The name of their file.</param>
    public bool? NeedsQuickGelu(ClipConfig config, string? tag, string? file)
    {
        ArgumentNullException.ThrowIfNull(config);
        var clean = tag?.ToLowerInvariant().Replace('-', '_');
        return Activations.FirstOrDefault(row => (row.Tag == clean && row.Fits(config.Vision)) || (file is not null && row.File == file)) is { } found ? found.QuickGelu
            : file is not null && QuickGeluFiles.Contains(file) ? true
            : null;
    }

    private static PublishedTower[] Towers(Func<ClipConfig, (int Width, int Layers, int Mlp, int Heads)> shape) =>
    [
        .. ClipConfigs.Plain.Where(named => named.Value.Vision.Stages is null).GroupBy(named => shape(named.Value), named => named.Key).Select(alike =>
            new PublishedTower([.. alike.Order(StringComparer.Ordinal)], alike.Key.Width, alike.Key.Layers, alike.Key.Mlp, alike.Key.Heads)),
    ];

    internal static string Count(int heads) => heads == 1 ? "1 head" : $"{heads} heads";

    private static PublishedModels Load()
    {
        using var stream = typeof(PublishedModels).Assembly.GetManifestResourceStream(Resource)!;
        return JsonSerializer.Deserialize<PublishedModels>(stream, Naming)!;
    }
}

/// <summary>The shape of published towers.</summary>
/// <param name="Names">Models that have it.</param>
/// <param name="Width">Channels.</param>
/// <param name="Layers">Blocks.</param>
/// <param name="Mlp">Hidden channels of the MLP.</param>
/// <param name="Heads">Attention heads.</param>
public sealed record PublishedTower(IReadOnlyList<string> Names, int Width, int Layers, int Mlp, int Heads);

/// <summary>The activation of published weights.</summary>
/// <param name="Tag">Their tag in OpenCLIP's list.</param>
/// <param name="QuickGelu">Whether they were trained with the quick GELU.</param>
/// <param name="Width">The width of the vision tower that this is said of; null for any, as the next two.</param>
/// <param name="Patch">The side of its patches.</param>
/// <param name="Image">The side of its images.</param>
/// <param name="File">The name under which the file is published; null for files of no telling name.</param>
public sealed record PublishedActivation(string Tag, bool QuickGelu, int? Width = null, int? Patch = null, int? Image = null, string? File = null)
{
    /// <summary>Whether this is said of weights for a tower.</summary>
    public bool Fits(VisionConfig vision) =>
        (Width ?? vision.Width) == vision.Width && (Patch ?? vision.PatchSize) == vision.PatchSize && (Image ?? vision.ImageSize.Height) == vision.ImageSize.Height;
}
