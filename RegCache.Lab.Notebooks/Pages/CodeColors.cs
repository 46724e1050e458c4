using System.Text;
using System.Text.Encodings.Web;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using RegCache.Lab.Notebooks.Scripting;

namespace RegCache.Lab.Notebooks.Pages;

/// <summary>C# with its keywords, strings, numbers, comments and type names marked for the page's style.</summary>
internal static class CodeColors
{
    public static string ToHtml(string code)
    {
        var html = new StringBuilder();
        foreach (var token in ScriptEngine.ParseAsWritten(code).GetRoot().DescendantTokens())
        {
            WriteTrivia(html, token.LeadingTrivia);
            Write(html, token.Text, Class(token));
            WriteTrivia(html, token.TrailingTrivia);
        }

        return html.ToString();
    }

    private static void WriteTrivia(StringBuilder html, SyntaxTriviaList list)
    {
        foreach (var trivia in list)
        {
            var isComment = trivia.IsKind(SyntaxKind.SingleLineCommentTrivia) || trivia.IsKind(SyntaxKind.MultiLineCommentTrivia);
            Write(html, trivia.ToFullString(), isComment ? "c" : trivia.IsDirective || trivia.IsKind(SyntaxKind.BadDirectiveTrivia) ? "k" : null);
        }
    }

    private static string? Class(SyntaxToken token) => token.Kind() switch
    {
        SyntaxKind.StringLiteralToken or SyntaxKind.CharacterLiteralToken or SyntaxKind.InterpolatedStringTextToken
            or SyntaxKind.InterpolatedStringStartToken or SyntaxKind.InterpolatedStringEndToken
            or SyntaxKind.SingleLineRawStringLiteralToken or SyntaxKind.MultiLineRawStringLiteralToken => "s",
        SyntaxKind.NumericLiteralToken => "n",
        SyntaxKind.IdentifierToken when token.ValueText == "var" => "k",
        SyntaxKind.IdentifierToken when token.Parent is ObjectCreationExpressionSyntax or BaseTypeDeclarationSyntax
            || token.Parent?.Parent is ObjectCreationExpressionSyntax => "t",
        _ => token.IsKeyword() ? "k" : null,
    };

    private static void Write(StringBuilder html, string text, string? style)
    {
        var encoded = HtmlEncoder.Default.Encode(text).Replace("&#xA;", "\n", StringComparison.Ordinal).Replace("&#xD;", string.Empty, StringComparison.Ordinal);
        html.Append(style is null || text.Length == 0 ? encoded : $"<span class=\"{style}\">{encoded}</span>");
    }
}
