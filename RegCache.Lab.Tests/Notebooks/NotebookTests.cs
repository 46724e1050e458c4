namespace RegCache.Lab.Tests.Notebooks;

/// <summary>Tests that share the console, which sessions capture.</summary>
[CollectionDefinition(Name)]
public sealed class NotebookTests
{
    /// <summary>The collection's name.</summary>
    public const string Name = "notebooks";
}
