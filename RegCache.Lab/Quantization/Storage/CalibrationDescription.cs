namespace RegCache.Lab.Quantization.Storage;

/// <summary>The JSON file of a calibration: what it is and which quantizers the tensors beside it belong to.</summary>
/// <param name="Method">The method and its settings.</param>
/// <param name="Tensors">SHA-256 of the safetensors file.</param>
/// <param name="Blocks">Number of blocks.</param>
/// <param name="Quantizers">The quantizers by name, for example `block3.mlp.c_fc.input`.</param>
internal sealed record CalibrationDescription(
    string Method, string Tensors, int Blocks, SortedDictionary<string, QuantizerRecord> Quantizers);
