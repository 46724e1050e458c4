namespace RegCache.Lab.Registers;

/// <summary>A register candidate: one token of one image.</summary>
/// <param name="Score">Its largest magnitude.</param>
/// <param name="Image">Index of the image in the set.</param>
/// <param name="Token">Position in the sequence; 0 is the class token.</param>
public readonly record struct OutlierToken(float Score, int Image, int Token) : IComparable<OutlierToken>
{
    /// <summary>Orders by score descending, then image, then token.</summary>
    public int CompareTo(OutlierToken other) =>
        (-Score, Image, Token).CompareTo((-other.Score, other.Image, other.Token));
}
