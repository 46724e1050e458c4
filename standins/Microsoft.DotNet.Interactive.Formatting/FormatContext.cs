namespace Microsoft.DotNet.Interactive.Formatting;

public class FormatContext : IDisposable
{
    public FormatContext(TextWriter writer) => Writer = writer;

    public int Depth { get; private set; }

    public TextWriter Writer { get; }

    public void Dispose()
    {
    }

    internal bool TryEnter()
    {
        if (Depth >= Formatter.RecursionLimit)
        {
            return false;
        }

        Depth++;
        return true;
    }

    internal void Leave() => Depth--;
}
