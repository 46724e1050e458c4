namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>The form of a weight file, recognised by its content.</summary>
public enum WeightContainer
{
    /// <summary>safetensors, whatever the file is called.</summary>
    Safetensors,

    /// <summary>PyTorch's zip form (<c>torch.save</c> since 1.6).</summary>
    TorchZip,

    /// <summary>PyTorch's stream of pickles (<c>torch.save</c> before 1.6).</summary>
    TorchLegacy,

    /// <summary>A TorchScript archive (<c>torch.jit.save</c>), such as OpenAI's original CLIP files.</summary>
    TorchScript,
}
