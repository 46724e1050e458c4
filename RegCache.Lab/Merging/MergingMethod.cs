namespace RegCache.Lab.Merging;

/// <summary>The ways to shorten the token stream (token-merging.md).</summary>
public enum MergingMethod
{
    /// <summary>ToMe: merging of whole images in every block.</summary>
    TokenMerging,

    /// <summary>DFE, the dense feature extractor: the first blocks stay dense, the others are as in ToMe.</summary>
    DenseFeatureExtractor,

    /// <summary>LGTM: dense blocks, then merging inside windows, then merging of whole images.</summary>
    LocalGlobal,

    /// <summary>Baseline: tokens drawn at random merge.</summary>
    RandomMerging,

    /// <summary>Baseline: tokens drawn at random are dropped.</summary>
    RandomPruning,

    /// <summary>Baseline: the tokens that the class token attends to least are dropped.</summary>
    AttentionPruning,
}
