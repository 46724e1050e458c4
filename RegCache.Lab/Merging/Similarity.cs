namespace RegCache.Lab.Merging;

/// <summary>Cosine similarity of tokens.</summary>
internal static class Similarity
{
    /// <summary>Scales rows [..,C] to unit length in float32; a row of zeros stays zero.</summary>
    public static Tensor Normalize(Tensor metric)
    {
        var wide = metric.to(torch.ScalarType.Float32);
        var length = torch.linalg.norm(wide, dims: [-1], keepdim: true);
        return wide / length.masked_fill(length.eq(0), 1);
    }
}
