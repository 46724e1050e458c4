namespace RegCache.Lab.Kernel.Jupyter;

/// <summary>Positions in text: the protocol counts Unicode code points, .NET counts UTF-16 units.</summary>
internal static class CodePoints
{
    public static int ToUtf16(string text, int codePoints)
    {
        var position = 0;
        while (codePoints-- > 0 && position < text.Length)
        {
            position += char.IsHighSurrogate(text[position]) && position + 1 < text.Length ? 2 : 1;
        }

        return position;
    }

    public static int FromUtf16(string text, int position) =>
        position - text.AsSpan(0, position).ToArray().Count(char.IsHighSurrogate);
}
