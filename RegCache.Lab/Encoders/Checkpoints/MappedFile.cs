using System.IO.MemoryMappedFiles;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>A whole file mapped read-only into memory.</summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _start;
    private bool _disposed;

    private MappedFile(string path, long length, MemoryMappedFile file, MemoryMappedViewAccessor view)
    {
        Path = path;
        Length = length;
        _file = file;
        _view = view;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        _start += view.PointerOffset;
    }

    public string Path { get; }

    public long Length { get; }

    /// <summary>Maps a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="what">What it is, for messages.</param>
    /// <exception cref="UserException">It is missing, empty, a pipe, or cannot be read.</exception>
    public static MappedFile Open(string path, string what = "weight file")
    {
        FileStream? stream = null;
        MemoryMappedFile? file = null;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
            if (!stream.CanSeek)
            {
                throw new UserException($"{path} is a pipe, and a {what} must lie on a disk; write it to one and name it.");
            }

            var length = stream.Length;
            if (length == 0)
            {
                throw new UserException($"{path} is empty; copy or download it again.");
            }

            file = MemoryMappedFile.CreateFromFile(
                stream, mapName: null, capacity: 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
            stream = null;
            var view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            var mapped = new MappedFile(path, length, file, view);
            file = null;
            return mapped;
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The {what} {path} cannot be opened");
        }
        finally
        {
            file?.Dispose();
            stream?.Dispose();
        }
    }

    /// <summary>A byte range, which must lie inside the file.</summary>
    public ReadOnlySpan<byte> Span(long offset, int length)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return offset >= 0 && length >= 0 && offset <= Length - length
            ? new(_start + offset, length)
            : throw new ArgumentOutOfRangeException(nameof(offset));
    }

    /// <summary>The bytes from an offset on, as many as a span can hold.</summary>
    public ReadOnlySpan<byte> SpanFrom(long offset) => Span(offset, (int)Math.Min(Length - offset, int.MaxValue));

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _file.Dispose();
        }
    }
}

/// <summary>A range of a mapped file. Those of PyTorch's old form are located after the tensors are known.</summary>
internal sealed class FileRange(MappedFile file, long offset, long byteLength)
{
    public long Offset { get; set; } = offset;

    public long ByteLength => byteLength;

    /// <summary>Bytes of the range.</summary>
    public ReadOnlySpan<byte> Span(long start, int length) => file.Span(Offset + start, length);
}
