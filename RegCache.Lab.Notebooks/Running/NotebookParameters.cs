using System.Globalization;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using RegCache.Lab.Notebooks.Scripting;

namespace RegCache.Lab.Notebooks.Running;

/// <summary>
/// Gives a notebook parameters after papermill's convention: a cell tagged <c>injected-parameters</c> follows the one tagged
/// <c>parameters</c> and declares the given variables anew, with the types they have there.
/// </summary>
public static class NotebookParameters
{
    private const string Tag = "parameters";
    private const string InjectedTag = "injected-parameters";

    /// <summary>Gives values to parameters.</summary>
    /// <param name="document">The notebook; its cells are changed.</param>
    /// <param name="name">What to call it in error messages.</param>
    /// <param name="values">Name to value, as written on the command line.</param>
    /// <exception cref="UserException">The notebook has no such parameter, or the value does not fit its type.</exception>
    public static void Apply(NotebookDocument document, string name, IReadOnlyDictionary<string, string> values)
    {
        ArgumentNullException.ThrowIfNull(document);
        ArgumentNullException.ThrowIfNull(values);
        if (values.Count == 0)
        {
            return;
        }

        for (var index = document.Cells.Count - 1; index >= 0; index--)
        {
            if (document.Cells[index].Tags.Contains(InjectedTag))
            {
                document.Remove(index);
            }
        }

        var place = document.Cells.ToList().FindIndex(cell => cell.IsCode && cell.Tags.Contains(Tag));
        if (place < 0)
        {
            throw new UserException($"{name} takes no parameters: none of its code cells has the tag `{Tag}`.");
        }

        var declared = Declarations(document.Cells[place].Source);
        var lines = values.Select(value => declared.TryGetValue(value.Key, out var declaration)
            ? $"{Declaration(value.Key, value.Value, declaration)}"
            : throw new UserException($"{name} has no parameter {value.Key}; it has {string.Join(", ", declared.Keys)}."));
        document.InsertCode(place + 1, string.Join('\n', lines), InjectedTag);
    }

    private static Dictionary<string, VariableDeclarationSyntax> Declarations(string source)
    {
        var root = ScriptEngine.Parse(source).GetRoot();
        return root.DescendantNodes().OfType<VariableDeclarationSyntax>()
            .SelectMany(declaration => declaration.Variables.Select(variable => (variable.Identifier.ValueText, declaration)))
            .DistinctBy(pair => pair.ValueText)
            .ToDictionary(pair => pair.ValueText, pair => pair.declaration);
    }

    private static string Declaration(string name, string value, VariableDeclarationSyntax declared)
    {
        var type = declared.Type.ToString().TrimEnd('?');
        if (type == "var")
        {
            type = InferredType(declared.Variables.First(variable => variable.Identifier.ValueText == name).Initializer?.Value)
                ?? throw new UserException($"The parameter {name} is declared with `var` and no plain value; write its type.");
        }

        return $"{type} {name} = {Literal(type, name, value)};";
    }

    private static string? InferredType(ExpressionSyntax? value) => value switch
    {
        PrefixUnaryExpressionSyntax { RawKind: (int)SyntaxKind.UnaryMinusExpression } negative => InferredType(negative.Operand),
        LiteralExpressionSyntax { Token.Value: { } constant } => constant switch
        {
            string => "string",
            bool => "bool",
            int => "int",
            long => "long",
            float => "float",
            double => "double",
            _ => null,
        },
        _ => null,
    };

    private static string Literal(string type, string name, string value)
    {
        var culture = CultureInfo.InvariantCulture;
        return type switch
        {
            "string" or "String" => SymbolDisplay.FormatLiteral(value, quote: true),
            "bool" when bool.TryParse(value, out var flag) => flag ? "true" : "false",
            "int" when int.TryParse(value, NumberStyles.AllowLeadingSign, culture, out var number) => number.ToString(culture),
            "long" when long.TryParse(value, NumberStyles.AllowLeadingSign, culture, out var number) => number.ToString(culture),
            "float" when float.TryParse(value, culture, out var number) && float.IsFinite(number) => number.ToString("R", culture) + "f",
            "double" when double.TryParse(value, culture, out var number) && double.IsFinite(number) => number.ToString("R", culture) + "d",
            "bool" or "int" or "long" or "float" or "double" =>
                throw new UserException($"The parameter {name} is of type {type}, which `{value}` is not."),
            _ => throw new UserException($"The parameter {name} is of type {type}; only bool, int, long, float, double and string can be given."),
        };
    }
}
