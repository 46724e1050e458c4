using RegCache.Lab.Encoders;

namespace RegCache.Lab.Registers;

/// <summary>One probed layer.</summary>
/// <param name="Block">Block, 0-based.</param>
/// <param name="Layer">The layer of the block that was quantized.</param>
/// <param name="Correct">Correct top-1 predictions with this layer quantized.</param>
/// <param name="FeatureMse">Mean over images and channels of the squared change of the normalised image feature.</param>
public sealed record SensitivityRow(int Block, LinearKind Layer, long Correct, double FeatureMse);
