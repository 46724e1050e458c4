namespace RegCache.Lab.Quantization;

/// <summary>Over which elements a dynamic activation range is taken.</summary>
public enum ActivationScope
{
    /// <summary>All elements of the mini-batch: results depend on the batch size.</summary>
    Batch,

    /// <summary>Each image by itself: results do not depend on the batch.</summary>
    Image,

    /// <summary>Each token by itself.</summary>
    Token,
}
