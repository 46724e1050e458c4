namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>What a part of a cell is written in.</summary>
internal enum CellLanguage
{
    /// <summary>C#, which is run.</summary>
    CSharp,

    /// <summary>HTML, which is shown.</summary>
    Html,

    /// <summary>Markdown, which is shown.</summary>
    Markdown,

    /// <summary>JavaScript, which the front end runs.</summary>
    JavaScript,
}
