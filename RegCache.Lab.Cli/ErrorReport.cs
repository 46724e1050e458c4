using System.Reflection;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli;

/// <summary>Tells an error as one sentence and chooses the exit code.</summary>
internal static class ErrorReport
{
    /// <summary>Writes the sentence; with <paramref name="verbose"/> also the cause and where it happened.</summary>
    /// <returns>The exit code, see <see cref="ExitCode"/>.</returns>
    public static int Write(Exception exception, bool verbose, TextWriter error)
    {
        var unwrapped = Unwrap(exception);
        var mendable = AsUserException(unwrapped);
        error.WriteLine(mendable?.Message
            ?? $"An unexpected error stopped the command ({Named(unwrapped)})"
                + (verbose ? "." : "; run it again with --verbose for the details."));
        if (verbose && (mendable is null || unwrapped is not UserException || unwrapped.InnerException is not null))
        {
            error.WriteLine(unwrapped);
        }

        return mendable is null ? ExitCode.Unexpected : ExitCode.UserError;
    }

    /// <summary>An error as one sentence.</summary>
    public static string Sentence(Exception exception)
    {
        var unwrapped = Unwrap(exception);
        return AsUserException(unwrapped)?.Message ?? Named(unwrapped);
    }

    private static string Named(Exception exception) => $"{exception.GetType().Name}: {FirstLine(exception.Message)}";

    private static UserException? AsUserException(Exception exception) => exception switch
    {
        UserException user => user,
        // The engine's loader says itself what to do.
        DllNotFoundException missing when missing.Message.Contains("./lab setup", StringComparison.Ordinal) => new UserException(missing.Message),
        DllNotFoundException missing => new UserException(
            $"A native library is missing ({FirstLine(missing.Message)}): run './lab setup', or install.sh in a bundle, then 'regcache doctor'."),
        _ when IsOutOfMemory(exception) => new UserException("There is not enough memory: give a smaller --batch."),
        _ when FileErrors.IsFileError(exception) => FileErrors.ToUserException(exception, "A file cannot be read or written"),
        _ => null,
    };

    // libtorch tells it in the text of its errors, for the CPU and for CUDA in these words.
    private static bool IsOutOfMemory(Exception exception) =>
        exception is OutOfMemoryException
        || exception.Message.Contains("CUDA out of memory", StringComparison.Ordinal)
        || exception.Message.Contains("can't allocate memory", StringComparison.Ordinal);

    private static Exception Unwrap(Exception exception) => exception switch
    {
        TypeInitializationException { InnerException: { } inner } => Unwrap(inner),
        TargetInvocationException { InnerException: { } inner } => Unwrap(inner),
        AggregateException { InnerExceptions: [var inner] } => Unwrap(inner),
        _ => exception,
    };

    private static string FirstLine(string text) => text.AsSpan().Trim().Trim('.').ToString().Split('\n', 2)[0].TrimEnd();
}
