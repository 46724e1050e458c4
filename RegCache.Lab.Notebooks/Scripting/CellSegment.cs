namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>A part of a cell between magic commands.</summary>
/// <param name="Language">What the part is written in.</param>
/// <param name="Text">The part; as many empty lines above it as it has lines above it in the cell.</param>
internal sealed record CellSegment(CellLanguage Language, string Text);
