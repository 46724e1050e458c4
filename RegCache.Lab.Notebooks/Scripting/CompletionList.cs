namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>What could stand in place of a part of a cell.</summary>
/// <param name="Start">Where the part starts, in UTF-16 units.</param>
/// <param name="End">Where it ends.</param>
/// <param name="Items">The candidates, sorted.</param>
public sealed record CompletionList(int Start, int End, IReadOnlyList<CompletionItem> Items);
