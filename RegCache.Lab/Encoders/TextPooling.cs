namespace RegCache.Lab.Encoders;

/// <summary>Which position of the text tower becomes the text feature.</summary>
public enum TextPooling
{
    /// <summary>The first position.</summary>
    First,

    /// <summary>The last position.</summary>
    Last,

    /// <summary>The first position that holds the row's largest token id, which is the end-of-text token.</summary>
    ArgMax,

    /// <summary>No pooling: all positions are returned.</summary>
    None,
}
