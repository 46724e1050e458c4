using System.Security;
using System.Text;
using RegCache.Lab.Distributed;

namespace RegCache.Lab.Reports;

/// <summary>
/// Writes files so that a reader sees the old content or the new one, never a part: to a temporary name in the same folder,
/// flushed to the disk, then renamed. A write that fails leaves nothing behind. Of several processes of a job only the first writes; for the others
/// these functions do nothing.
/// </summary>
public static class AtomicFile
{
    private const string TemporarySuffix = ".tmp";
    private static readonly UTF8Encoding Utf8WithoutMark = new(encoderShouldEmitUTF8Identifier: false);
    private static int _counter;

    /// <summary>Writes a file through a stream. Missing folders are created.</summary>
    /// <param name="path">The file; an existing one is replaced.</param>
    /// <param name="write">Writes the content; the stream can seek and is closed afterwards.</param>
    /// <exception cref="UserException">The disk is full, or the file may not or cannot be written.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentNullException.ThrowIfNull(write);
        if (!Processes.IsFirst)
        {
            return;
        }

        try
        {
            Replace(Path.GetFullPath(path), write);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The file {path} cannot be written");
        }
    }

    /// <summary>Writes bytes, see <see cref="Write"/>.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static void WriteBytes(string path, ReadOnlyMemory<byte> content) => Write(path, stream => stream.Write(content.Span));

    /// <summary>Writes text as UTF-8 without a byte-order mark, see <see cref="Write"/>.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static void WriteText(string path, string content) => WriteBytes(path, Utf8WithoutMark.GetBytes(content));

    /// <summary>Removes what killed runs left of <see cref="Write"/> in a folder. Only for a folder nobody else writes to now.</summary>
    internal static void RemoveLeftovers(string folder)
    {
        foreach (var leftover in Processes.IsFirst ? Directory.EnumerateFiles(folder, ".*" + TemporarySuffix) : [])
        {
            File.Delete(leftover);
        }
    }

    private static void Replace(string path, Action<Stream> write)
    {
        var folder = Path.GetDirectoryName(path) ?? throw new IOException("it names no file");
        Directory.CreateDirectory(folder);
        var unique = $".{Path.GetFileName(path)}.{Environment.ProcessId}-{Interlocked.Increment(ref _counter)}{TemporarySuffix}";
        var temporary = Path.Combine(folder, unique);
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            Discard(temporary);
            throw;
        }
    }

    private static void Discard(string temporary)
    {
        try
        {
            File.Delete(temporary);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            // The first error is the one to tell; the next run in this folder removes the leftover.
        }
    }
}

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
    // The last is .NET's answer to paths that are empty or hold a null character, as annotations of images may.
    public static bool IsFileError(Exception exception) =>
        exception is IOException or UnauthorizedAccessException or SecurityException or ArgumentException { ParamName: "path" } and not ArgumentNullException;

    /// <summary>The error as one sentence.</summary>
    /// <param name="exception">What was caught; see <see cref="IsFileError"/>.</param>
    /// <param name="what">What failed, as a clause: <c>The file runs/a/result.json cannot be written</c>.</param>
    public static UserException ToUserException(Exception exception, string what)
    {
        var reason = exception switch
        {
            UnauthorizedAccessException or SecurityException => "permission is denied, or it is a folder; check its owner and mode",
            ArgumentException => "its path is empty or holds a null character; correct it",
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
