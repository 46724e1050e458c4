namespace RegCache.Lab.Encoders;

/// <summary>How a model is loaded.</summary>
public sealed record ClipLoadOptions
{
    /// <summary>Configuration file or name (ViT-B-16, ...); null: the one beside the weights, else the tensors' shapes.</summary>
    public string? Config { get; init; }

    /// <summary>Tag of the weights ("openai", "laion2b", ...), by which quick GELU is chosen where they need it.</summary>
    public string Pretrained { get; init; } = "local";

    /// <summary>Keep the activation that the configuration names, even where the weights need another.</summary>
    public bool LiteralActivation { get; init; }

    /// <summary>Where the model runs.</summary>
    public torch.Device Device { get; init; } = torch.CPU;

    /// <summary>Number type of the weights; norms stay in float32.</summary>
    public torch.ScalarType Type { get; init; } = torch.ScalarType.Float32;

    /// <summary>How blocks run where no gradients are wanted; null runs the tensor operators, as training must.</summary>
    public IBackend? Backend { get; init; }
}
