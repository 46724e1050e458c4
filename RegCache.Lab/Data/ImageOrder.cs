namespace RegCache.Lab.Data;

/// <summary>
/// In which order the images of class folders are read. It decides which images share a batch, and so what dynamic
/// per-batch activation ranges are.
/// </summary>
public enum ImageOrder
{
    /// <summary>By class folder, then by file name: batches hold few classes.</summary>
    Class,

    /// <summary>By file name across classes, so that a set numbered in its own order keeps that order.</summary>
    Name,
}
