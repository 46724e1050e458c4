using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>
/// <c>using var x = ...;</c> at the top of a cell, which C# scripts do not know: the word is blanked out, so that a variable of the
/// notebook remains, and the engine disposes of it when the cell has ended, as C# does at the end of a scope.
/// </summary>
/// <param name="Code">The cell's code without the words, every column in its place.</param>
/// <param name="Names">The variables to dispose of, in the order of their declarations.</param>
internal sealed record CellUsings(string Code, IReadOnlyList<string> Names)
{
    /// <summary>Finds the declarations.</summary>
    public static CellUsings Find(string code)
    {
        if (!code.Contains("using", StringComparison.Ordinal))
        {
            return new CellUsings(code, []);
        }

        var names = new List<string>();
        var text = code.ToCharArray();
        var tokens = SyntaxFactory.ParseTokens(code).ToArray();
        var depth = 0;
        for (var index = 0; index < tokens.Length; index++)
        {
            depth += tokens[index].Kind() switch
            {
                SyntaxKind.OpenBraceToken or SyntaxKind.OpenParenToken or SyntaxKind.OpenBracketToken => 1,
                SyntaxKind.CloseBraceToken or SyntaxKind.CloseParenToken or SyntaxKind.CloseBracketToken => -1,
                _ => 0,
            };
            if (depth == 0 && tokens[index].IsKind(SyntaxKind.UsingKeyword) && DeclaredName(tokens, index + 1) is { } name)
            {
                names.Add(name);
                Blank(text, tokens[index]);
                if (index > 0 && tokens[index - 1].ValueText == "await")
                {
                    Blank(text, tokens[index - 1]);
                }
            }
        }

        return new CellUsings(new string(text), names);
    }

    /// <summary>The variable that a using declaration declares; null where the words are a directive or a statement.</summary>
    private static string? DeclaredName(SyntaxToken[] tokens, int start)
    {
        var index = start;
        while (index < tokens.Length && !tokens[index].IsKind(SyntaxKind.EqualsToken))
        {
            if (tokens[index].IsKind(SyntaxKind.SemicolonToken) || tokens[index].IsKind(SyntaxKind.OpenParenToken))
            {
                return null;
            }

            index++;
        }

        // `using A = B;` has one word before the sign, a declaration a type and a name.
        return index < tokens.Length && index - start >= 2 && tokens[index - 1].IsKind(SyntaxKind.IdentifierToken)
            && !tokens[start].IsKind(SyntaxKind.StaticKeyword) && !tokens[start].IsKind(SyntaxKind.UnsafeKeyword)
            ? tokens[index - 1].ValueText
            : null;
    }

    private static void Blank(char[] text, SyntaxToken token) => text.AsSpan(token.Span.Start, token.Span.Length).Fill(' ');
}
