namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>The stream that a cell printed to.</summary>
public enum ConsoleChannel
{
    /// <summary>Standard output.</summary>
    Out,

    /// <summary>Standard error.</summary>
    Error,
}
