using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.Loader;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>A compiled cell that later cells can refer to.</summary>
internal sealed class Submission
{
    private static readonly SymbolDisplayFormat Full = SymbolDisplayFormat.CSharpErrorMessageFormat.WithMemberOptions(
        SymbolDisplayMemberOptions.IncludeType | SymbolDisplayMemberOptions.IncludeParameters);

    public Submission(string source, CSharpCompilation compilation, CSharpCompilation? previous, CompilationUnitSyntax root)
    {
        Source = source;
        Compilation = compilation;
        Previous = previous;
        Signature = Describe(compilation);
        Members = [.. compilation.ScriptClass!.GetMembers().Where(IsDeclared).Select(Key)];
        Fields = [.. compilation.ScriptClass.GetMembers().OfType<IFieldSymbol>().Where(IsDeclared).Select(field => field.Name)];
        HasUsings = root.Usings.Count > 0;
        Captured = [.. root.DescendantNodes()
            .Where(node => node is AnonymousFunctionExpressionSyntax or LocalFunctionStatementSyntax or MemberDeclarationSyntax and not (GlobalStatementSyntax or FieldDeclarationSyntax) or QueryExpressionSyntax)
            .SelectMany(node => node.DescendantTokens())
            .Where(token => token.IsKind(SyntaxKind.IdentifierToken))
            .Select(token => token.ValueText)];
    }

    public string Source { get; }

    public CSharpCompilation Compilation { get; private set; }

    public CSharpCompilation? Previous { get; private set; }

    /// <summary>What the cell declares, with its types.</summary>
    public string Signature { get; }

    /// <summary>Whether later cells can still refer to something of the cell.</summary>
    public bool IsVisible => Members.Count > 0 || HasUsings;

    /// <summary>What the cell declares and no later cell declares anew.</summary>
    public HashSet<string> Members { get; }

    /// <summary>The cell's variables that are visible still.</summary>
    public HashSet<string> Fields { get; }

    public bool HasUsings { get; }

    /// <summary>The names that occur in code of the cell which may run after it: lambdas, functions, types.</summary>
    public HashSet<string> Captured { get; }

    /// <summary>The object that holds the cell's variables while it has run.</summary>
    public object? Instance { get; set; }

    /// <summary>Takes another place in the chain.</summary>
    public void Move(CSharpCompilation compilation, CSharpCompilation? previous)
    {
        Compilation = compilation;
        Previous = previous;
    }

    /// <summary>What a compilation of a cell declares, with its types.</summary>
    public static string Describe(CSharpCompilation compilation) => string.Join(
        '\n', compilation.ScriptClass!.GetMembers().Where(IsDeclared).Select(member => member.ToDisplayString(Full)).Order(StringComparer.Ordinal));

    private static bool IsDeclared(ISymbol symbol) => !symbol.IsImplicitlyDeclared && symbol.CanBeReferencedByName;

    // A method hides one of the same parameters; everything else hides by its name.
    private static string Key(ISymbol symbol) =>
        symbol is IMethodSymbol ? symbol.ToDisplayString(SymbolDisplayFormat.CSharpShortErrorMessageFormat) : symbol.Name;
}

/// <summary>Loads the compiled code of cells, each in a context of its own that goes when nothing refers to the cell any more.</summary>
internal sealed class CellAssemblies
{
    private readonly ConcurrentDictionary<string, WeakReference<Assembly>> _loaded = [];

    public Assembly Load(string name, MemoryStream code, MemoryStream symbols)
    {
        var assembly = new Context(this).LoadFromStream(code, symbols);
        _loaded[name] = new WeakReference<Assembly>(assembly);
        foreach (var (gone, _) in _loaded.Where(entry => !entry.Value.TryGetTarget(out _)).ToArray())
        {
            _loaded.TryRemove(gone, out _);
        }

        return assembly;
    }

    private sealed class Context(CellAssemblies cells) : AssemblyLoadContext(isCollectible: true)
    {
        protected override Assembly? Load(AssemblyName assemblyName) =>
            assemblyName.Name is { } name && cells._loaded.TryGetValue(name, out var cell) && cell.TryGetTarget(out var assembly)
                ? assembly
                : null;
    }
}
