namespace RegCache.Lab.Registers;

/// <summary>What makes a layer quantization-sensitive, or a search cell the best.</summary>
public enum SearchMetric
{
    /// <summary>Top-1 predictions that are right.</summary>
    Accuracy,

    /// <summary>Mean squared error of the normalised image features against the float model; needs no labels.</summary>
    Mse,
}
