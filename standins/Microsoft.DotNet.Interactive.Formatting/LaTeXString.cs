namespace Microsoft.DotNet.Interactive.Formatting;

public class LaTeXString
{
    private readonly string _latexCode;

    public LaTeXString(string latexCode) => _latexCode = latexCode;

    public static implicit operator LaTeXString(string source) => new(source);

    public override string ToString() => _latexCode;
}
