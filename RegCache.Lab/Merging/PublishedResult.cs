namespace RegCache.Lab.Merging;

/// <summary>A published number about token compression.</summary>
/// <param name="Source">Where it was published.</param>
/// <param name="Model">The model, by its name in the kit's table: "vit-s", "deit-s".</param>
/// <param name="Method">"plain", "tome", "dfe", "lgtm" or another method's name.</param>
/// <param name="Accuracy">Top-1 accuracy on ImageNet-1k, percent.</param>
public sealed record PublishedResult(string Source, string Model, string Method, double Accuracy)
{
    /// <summary>The schedule: r, or r and inflection such as "8:-1"; null for the plain model or where none is told.</summary>
    public string? R { get; init; }

    /// <summary>Billions of multiply-accumulates per image.</summary>
    public double? Gmacs { get; init; }

    /// <summary>Images per second.</summary>
    public double? ImagesPerSecond { get; init; }

    /// <summary>What the throughput was measured on.</summary>
    public string? Device { get; init; }

    /// <summary>Epochs of further training that the method needed; null where none is told.</summary>
    public int? ExtraEpochs { get; init; }

    /// <summary>Whether the model was trained with merging.</summary>
    public bool Trained { get; init; }
}
