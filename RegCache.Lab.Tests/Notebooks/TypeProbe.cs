namespace RegCache.Lab.Tests.Notebooks;

/// <summary>Takes a type from a cell.</summary>
public static class TypeProbe
{
    /// <summary>The type that a cell put here.</summary>
    public static Type? Seen { get; set; }
}
