using System.Text;

namespace RegCache.Lab.Reports;

/// <summary>
/// Writes files so that a reader sees the old content or the new one, never a part: to a temporary name in the same folder,
/// flushed to the disk, then renamed. A write that fails leaves nothing behind.
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
        foreach (var leftover in Directory.EnumerateFiles(folder, ".*" + TemporarySuffix))
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
