namespace RegCache.Lab.Quantization.Integer;

/// <summary>How quantized layers are carried out.</summary>
public enum ExecutionMode
{
    /// <summary>Values are replaced by those that the integers represent; products run in float.</summary>
    Simulated,

    /// <summary>Products run in 8-bit integers, where a layer's values allow it.</summary>
    Integer,
}
