namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>Whether a cell's text is ready to run.</summary>
public enum Completeness
{
    /// <summary>It can be run.</summary>
    Complete,

    /// <summary>More must follow.</summary>
    Incomplete,

    /// <summary>It cannot be run, whatever follows.</summary>
    Invalid,
}
