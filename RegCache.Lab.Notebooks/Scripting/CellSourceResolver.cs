using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>Finds the files of <c>#load</c> beside the notebook, or beside the file that loads them, and makes them interruptible too.</summary>
internal sealed class CellSourceResolver(ScriptReferences references) : SourceReferenceResolver
{
    public override string? NormalizePath(string path, string? baseFilePath) => ResolveReference(path, baseFilePath);

    public override string? ResolveReference(string path, string? baseFilePath)
    {
        var folder = baseFilePath is not null && File.Exists(baseFilePath) ? Path.GetDirectoryName(baseFilePath)! : references.BaseFolder;
        var full = Path.GetFullPath(path, folder);
        return File.Exists(full) ? full : null;
    }

    public override Stream OpenRead(string resolvedPath) => new MemoryStream(Encoding.UTF8.GetBytes(Rewritten(resolvedPath)));

    public override SourceText ReadText(string resolvedPath) => SourceText.From(Rewritten(resolvedPath), Encoding.UTF8);

    public override bool Equals(object? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);

    private static string Rewritten(string path)
    {
        // The text is parsed again: where an inserted call stands before a directive on its line, the file is taken as it is.
        var original = ScriptEngine.Parse(File.ReadAllText(path), path);
        var text = CellRewriter.Rewrite(original).ToString();
        return original.GetDiagnostics().Any() || !ScriptEngine.Parse(text, path).GetDiagnostics().Any() ? text : original.ToString();
    }
}
