namespace RegCache.Lab.Data.Images;

/// <summary>How an image of any shape becomes one of the target size.</summary>
public enum ResizeMode
{
    /// <summary>The whole target is covered, what stands over is cut off on both sides alike.</summary>
    Shortest,

    /// <summary>The whole image is kept, the rest of the target is filled.</summary>
    Longest,

    /// <summary>The image is resized to the target's shape.</summary>
    Squash,
}
