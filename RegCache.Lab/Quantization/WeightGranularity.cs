namespace RegCache.Lab.Quantization;

/// <summary>Over which elements a weight scale is taken.</summary>
public enum WeightGranularity
{
    /// <summary>Each output row has its own scale.</summary>
    Row,

    /// <summary>One scale for the matrix.</summary>
    Tensor,
}
