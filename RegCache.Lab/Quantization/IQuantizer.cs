using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>A baseline quantizer, ready to run.</summary>
public interface IQuantizer : ILayerScheme
{
    /// <summary>The same quantizer with one kind of linear layer switched on and everything else left in float.</summary>
    ILayerScheme Only(LinearKind layer);
}
