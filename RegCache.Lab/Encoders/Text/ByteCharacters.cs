namespace RegCache.Lab.Encoders.Text;

/// <summary>
/// The printable characters that stand for bytes in the vocabulary (clip.md, section 12.1): printable Latin-1 characters
/// for themselves, U+0100 and up for the rest.
/// </summary>
internal static class ByteCharacters
{
    /// <summary>Byte to character.</summary>
    public static char[] OfByte { get; } = new char[256];

    /// <summary>The characters in vocabulary order: those that stand for themselves come first.</summary>
    public static string InOrder { get; } = MakeTable();

    /// <summary>Character to byte, or -1.</summary>
    public static int ToByte(char character) => Array.IndexOf(OfByte, character);

    private static string MakeTable()
    {
        var plain = Enumerable.Range(0, 256).Where(IsPlain).ToList();
        var others = Enumerable.Range(0, 256).Where(value => !IsPlain(value)).ToList();
        plain.ForEach(value => OfByte[value] = (char)value);
        for (var index = 0; index < others.Count; index++)
        {
            OfByte[others[index]] = (char)(256 + index);
        }

        return string.Concat(plain.Concat(others).Select(value => OfByte[value]));
    }

    private static bool IsPlain(int value) => value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
}
