namespace RegCache.Lab.Registers;

/// <summary>A register candidate: one token of one image.</summary>
/// <param name="Score">Its largest magnitude.</param>
/// <param name="Image">Index of the image in the set.</param>
/// <param name="Token">Position in the sequence; 0 is the class token.</param>
public readonly record struct OutlierToken(float Score, int Image, int Token)
{
    /// <summary>Orders by score descending, then image, then token.</summary>
    public static IComparer<OutlierToken> BestFirst { get; } = Comparer<OutlierToken>.Create(
        (a, b) => (-a.Score, a.Image, a.Token).CompareTo((-b.Score, b.Image, b.Token)));
}
