namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>A candidate of a completion.</summary>
/// <param name="Text">What would be written.</param>
/// <param name="Kind">What it is: <c>method</c>, <c>property</c>, <c>class</c>, <c>keyword</c> and so on.</param>
public sealed record CompletionItem(string Text, string Kind);
