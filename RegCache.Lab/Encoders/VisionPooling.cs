namespace RegCache.Lab.Encoders;

/// <summary>Which tokens of the vision tower become the image feature.</summary>
public enum VisionPooling
{
    /// <summary>The class token.</summary>
    ClassToken,

    /// <summary>The mean of the patch tokens.</summary>
    Average,

    /// <summary>No pooling: all tokens are returned.</summary>
    None,
}
