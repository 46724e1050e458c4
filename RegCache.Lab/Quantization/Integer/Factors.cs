namespace RegCache.Lab.Quantization.Integer;

/// <summary>The number type of both factors of a packed product.</summary>
internal enum Factors
{
    /// <summary>float32, sums too.</summary>
    Float,

    /// <summary>bfloat16, sums in float32.</summary>
    Bfloat,

    /// <summary>Unsigned activations and signed weights of 8 bits, sums in int32.</summary>
    Bytes,
}
