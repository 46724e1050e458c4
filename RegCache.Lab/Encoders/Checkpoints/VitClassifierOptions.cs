namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>What the tensors of a plain ViT classifier do not tell.</summary>
public sealed record VitClassifierOptions
{
    /// <summary>Attention heads; null: one for every 64 channels, 16 for the 1280 channels of ViT-H.</summary>
    public int? Heads { get; init; }

    /// <summary>Input size in pixels; null: the square that the position table is for.</summary>
    public (int Height, int Width)? ImageSize { get; init; }

    /// <summary>The epsilon of every LayerNorm.</summary>
    public double Epsilon { get; init; } = 1e-6;

    /// <summary>Where the model computes.</summary>
    public torch.Device Device { get; init; } = torch.CPU;

    /// <summary>The number type of its matrices.</summary>
    public torch.ScalarType Type { get; init; } = torch.ScalarType.Float32;

    /// <summary>How blocks run where no gradients are wanted; null runs the tensor operators.</summary>
    public IBackend? Backend { get; init; }
}
