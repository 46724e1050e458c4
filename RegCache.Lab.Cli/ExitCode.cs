namespace RegCache.Lab.Cli;

/// <summary>What the process returns.</summary>
internal static class ExitCode
{
    /// <summary>All went well.</summary>
    public const int Success = 0;

    /// <summary>An unexpected error: a mistake of the kit, not of its user.</summary>
    public const int Unexpected = 1;

    /// <summary>Something the user can mend: an option, a file, a full disk.</summary>
    public const int UserError = 2;

    /// <summary>Ctrl-C (128 + SIGINT).</summary>
    public const int Interrupted = 130;

    /// <summary>Asked to end, for example by a batch system at the time limit (128 + SIGTERM).</summary>
    public const int Terminated = 143;
}
