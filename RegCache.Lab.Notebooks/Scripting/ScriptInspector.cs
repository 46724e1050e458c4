using System.Text;
using System.Xml.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>Completion and explanation of a cell's code, by the compiler's own knowledge of it.</summary>
internal sealed class ScriptInspector(ScriptEngine engine)
{
    private static readonly string[] Keywords =
        [.. SyntaxFacts.GetKeywordKinds().Where(kind => !SyntaxFacts.IsPreprocessorKeyword(kind)).Select(SyntaxFacts.GetText).Concat(["var", "await", "async"]).Where(word => char.IsLetter(word[0]) && !word.StartsWith("__", StringComparison.Ordinal)).Distinct()];

    public CompletionList Complete(string code, int position)
    {
        position = Math.Clamp(position, 0, code.Length);
        var start = position;
        while (start > 0 && SyntaxFacts.IsIdentifierPartCharacter(code[start - 1]))
        {
            start--;
        }

        var tree = ScriptEngine.Parse(WithoutMagic(code));
        var model = engine.Compile(tree).GetSemanticModel(tree);
        var typed = code[start..position];
        var qualifier = Qualifier(tree, start);
        var symbols = qualifier is null ? model.LookupSymbols(start) : Members(model, qualifier, start);
        var items = symbols
            .Where(symbol => symbol.CanBeReferencedByName && !symbol.IsImplicitlyDeclared && IsShown(symbol))
            .Select(symbol => new CompletionItem(symbol.Name, symbol.Kind switch
            {
                SymbolKind.NamedType => ((INamedTypeSymbol)symbol).TypeKind.ToString().ToLowerInvariant(),
                SymbolKind.Local or SymbolKind.Field or SymbolKind.Parameter => "instance",
                var kind => kind.ToString().ToLowerInvariant(),
            }))
            .Concat(qualifier is null ? Keywords.Select(word => new CompletionItem(word, "keyword")) : [])
            .Where(item => item.Text.StartsWith(typed, StringComparison.OrdinalIgnoreCase))
            .DistinctBy(item => item.Text)
            .OrderBy(item => item.Text.StartsWith(typed, StringComparison.Ordinal) ? 0 : 1)
            .ThenBy(item => item.Text, StringComparer.OrdinalIgnoreCase);
        return new CompletionList(start, position, [.. items]);
    }

    public string? Inspect(string code, int position)
    {
        var tree = ScriptEngine.Parse(WithoutMagic(code));
        var model = engine.Compile(tree).GetSemanticModel(tree);
        var token = tree.GetRoot().FindToken(Math.Clamp(position, 0, code.Length));
        if (!token.IsKind(SyntaxKind.IdentifierToken) && position > 0)
        {
            token = tree.GetRoot().FindToken(Math.Min(position, code.Length) - 1);
        }

        if (token.IsKind(SyntaxKind.OpenParenToken) || token.IsKind(SyntaxKind.DotToken))
        {
            token = token.GetPreviousToken();
        }

        if (token.Parent is not { } node)
        {
            return null;
        }

        var info = model.GetSymbolInfo(node);
        ISymbol[] symbols = info.Symbol is { } symbol ? [symbol] : [.. info.CandidateSymbols];
        if (symbols.Length == 0 && model.GetDeclaredSymbol(node) is { } declared)
        {
            symbols = [declared];
        }

        if (symbols is [IMethodSymbol method] && info.Symbol is not null)
        {
            // The other overloads are worth knowing too.
            symbols = [method, .. method.ContainingType.GetMembers(method.Name).Where(other => !other.Equals(method.OriginalDefinition, SymbolEqualityComparer.Default))];
        }

        return symbols.Length == 0 ? null : string.Join("\n", symbols.Take(10).Select(Describe));
    }

    private static string Describe(ISymbol symbol)
    {
        var text = new StringBuilder(symbol switch
        {
            IFieldSymbol { ContainingType.IsScriptClass: true } variable => $"{variable.Type.ToDisplayString()} {variable.Name}",
            ILocalSymbol local => $"{local.Type.ToDisplayString()} {local.Name}",
            INamedTypeSymbol type => $"{type.TypeKind.ToString().ToLowerInvariant()} {type.ToDisplayString()}",
            IMethodSymbol method => $"{method.ReturnType.ToDisplayString()} {method.ToDisplayString(SymbolDisplayFormat.CSharpErrorMessageFormat.AddParameterOptions(SymbolDisplayParameterOptions.IncludeName | SymbolDisplayParameterOptions.IncludeDefaultValue))}",
            IPropertySymbol property => $"{property.Type.ToDisplayString()} {property.ToDisplayString()}",
            IFieldSymbol field => $"{field.Type.ToDisplayString()} {field.ToDisplayString()}",
            _ => symbol.ToDisplayString(),
        });
        if (symbol.GetDocumentationCommentXml(expandIncludes: true) is { Length: > 0 } xml && Summary(xml) is { Length: > 0 } summary)
        {
            text.Append("\n    ").Append(summary);
        }

        return text.ToString();
    }

    private static string? Summary(string xml)
    {
        try
        {
            var summary = XElement.Parse($"<doc>{xml}</doc>").Descendants("summary").FirstOrDefault();
            foreach (var reference in summary?.DescendantsAndSelf().Where(element => element.Attribute("cref") is not null).ToArray() ?? [])
            {
                reference.Value = reference.Attribute("cref")!.Value.Split('.')[^1];
            }

            return summary is null ? null : string.Join(' ', summary.Value.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        }
        catch (System.Xml.XmlException)
        {
            return null;
        }
    }

    /// <summary>What stands before the dot that the completed word follows; null where there is none.</summary>
    private static ExpressionSyntax? Qualifier(SyntaxTree tree, int start)
    {
        if (start == 0)
        {
            return null;
        }

        var dot = tree.GetRoot().FindToken(start - 1);
        return dot.IsKind(SyntaxKind.DotToken)
            ? dot.Parent switch
            {
                MemberAccessExpressionSyntax access => access.Expression,
                QualifiedNameSyntax name => name.Left,
                MemberBindingExpressionSyntax binding => binding.FirstAncestorOrSelf<ConditionalAccessExpressionSyntax>()?.Expression,
                _ => null,
            }
            : null;
    }

    private static IEnumerable<ISymbol> Members(SemanticModel model, ExpressionSyntax qualifier, int position)
    {
        var symbol = model.GetSymbolInfo(qualifier).Symbol ?? model.GetSymbolInfo(qualifier).CandidateSymbols.FirstOrDefault();
        if (symbol is INamespaceOrTypeSymbol container)
        {
            return model.LookupSymbols(position, container).Where(member => member is INamespaceOrTypeSymbol || member.IsStatic);
        }

        // `a.b` on a line of its own reads as a type name, where it is a value's member.
        var type = model.GetTypeInfo(qualifier).Type
            ?? symbol switch
            {
                IFieldSymbol field => field.Type,
                IPropertySymbol property => property.Type,
                ILocalSymbol local => local.Type,
                _ => model.GetSpeculativeTypeInfo(position, SyntaxFactory.ParseExpression(qualifier.ToString()), SpeculativeBindingOption.BindAsExpression).Type,
            };
        if (type is null or IErrorTypeSymbol)
        {
            var expression = SyntaxFactory.ParseExpression(qualifier.ToString());
            type = model.GetSpeculativeTypeInfo(position, expression, SpeculativeBindingOption.BindAsExpression).Type;
        }

        return type is null or IErrorTypeSymbol
            ? []
            : model.LookupSymbols(position, type, includeReducedExtensionMethods: true).Where(member => !member.IsStatic && member is not ITypeSymbol);
    }

    private static bool IsShown(ISymbol symbol) => !symbol.GetAttributes().Any(attribute =>
        attribute.AttributeClass?.Name == "EditorBrowsableAttribute" && attribute.ConstructorArguments is [{ Value: 1 }]);

    private static string WithoutMagic(string code) =>
        string.Join('\n', code.Split('\n').Select(line => line.StartsWith("#!", StringComparison.Ordinal) ? new string(' ', line.Length) : line));
}
