namespace RegCache.Lab.Encoders.Text;

/// <summary>Turns texts into the rows of ids that a text tower takes.</summary>
public interface ITokenizer
{
    /// <summary>Number of ids of every encoded text.</summary>
    int ContextLength { get; }

    /// <summary>Texts as model input.</summary>
    /// <returns>The ids [B, <see cref="ContextLength"/>] in C order.</returns>
    long[] EncodeBatch(IReadOnlyList<string> texts);
}
