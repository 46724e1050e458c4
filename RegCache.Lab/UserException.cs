namespace RegCache.Lab;

/// <summary>
/// A mistake that the user can mend: bad input, an impossible option, a full disk. The message is one sentence that
/// says what is wrong, where, and what to do. The command line prints it alone and exits with code 2.
/// </summary>
public sealed class UserException : Exception
{
    /// <summary>Creates the error from its one sentence.</summary>
    public UserException(string message)
        : base(OneLine(message))
    {
    }

    /// <summary>Creates the error from its one sentence, keeping the cause for <c>--verbose</c>.</summary>
    public UserException(string message, Exception cause)
        : base(OneLine(message), cause)
    {
    }

    /// <summary>Whether every other input would fail alike, as where a library is missing: whoever skips bad input lets it through.</summary>
    public bool ConcernsAllInput { get; init; }

    // Messages quote names that come from files, which may hold anything, escape sequences of terminals too.
    private static string OneLine(string message) =>
        message.Any(char.IsControl) ? string.Concat(message.Select(character => char.IsControl(character) ? ' ' : character)) : message;
}
