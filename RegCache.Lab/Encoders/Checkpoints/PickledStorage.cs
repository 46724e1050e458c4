using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>A storage that a pickle refers to by its persistent id. The type is null for an untyped one, counted in bytes.</summary>
internal sealed record PickledStorage(WeightStorage Bytes, ScalarType? Type);
