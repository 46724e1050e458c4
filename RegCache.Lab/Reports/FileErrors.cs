using System.Security;

namespace RegCache.Lab.Reports;

/// <summary>Turns what the system says about files and disks into one sentence for the user.</summary>
public static class FileErrors
{
    // errno values of Linux; on Unix, .NET hands them on as the HResult of an IOException that has no class of its own.
    private const int NoSpace = 28;
    private const int FileTooLarge = 27;
    private const int QuotaExceeded = 122;
    private const int ReadOnlyFileSystem = 30;
    private const int WindowsDiskFull = unchecked((int)0x80070070);

    /// <summary>Whether an exception is about a file, a folder or a disk, and so the user's to mend.</summary>
    public static bool IsFileError(Exception exception) =>
        exception is IOException or UnauthorizedAccessException or SecurityException;

    /// <summary>The error as one sentence.</summary>
    /// <param name="exception">What was caught; see <see cref="IsFileError"/>.</param>
    /// <param name="what">What failed, as a clause: <c>The file runs/a/result.json cannot be written</c>.</param>
    public static UserException ToUserException(Exception exception, string what)
    {
        var reason = exception switch
        {
            UnauthorizedAccessException or SecurityException => "permission is denied; check the owner and mode of the folder",
            FileNotFoundException => "there is no such file",
            DirectoryNotFoundException => "its folder does not exist",
            PathTooLongException => "the path is too long",
            { HResult: NoSpace or WindowsDiskFull } => "the disk is full; free some space or choose another folder",
            { HResult: QuotaExceeded } => "the disk quota is used up; free some space or choose another folder",
            { HResult: FileTooLarge } => "the file is larger than the system allows here",
            { HResult: ReadOnlyFileSystem } => "the file system is read-only; choose another folder",
            _ => exception.Message.TrimEnd('.'),
        };
        return new UserException($"{what}: {reason}.", exception);
    }
}
