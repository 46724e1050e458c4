using System.Buffers;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.Images;

/// <summary>A whole file in pooled memory.</summary>
internal readonly struct FileContent : IDisposable
{
    private readonly byte[] _buffer;
    private readonly int _length;

    private FileContent(byte[] buffer, int length)
    {
        _buffer = buffer;
        _length = length;
    }

    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, _length);

    /// <exception cref="UserException">The file is missing, not readable or larger than 2 GB.</exception>
    public static FileContent Read(string path)
    {
        byte[]? buffer = null;
        try
        {
            using var handle = File.OpenHandle(path, options: FileOptions.SequentialScan);
            var size = RandomAccess.GetLength(handle);
            if (size > Array.MaxLength)
            {
                throw new UserException($"The image {path} is larger than 2 GB: make it smaller or remove it.");
            }

            buffer = ArrayPool<byte>.Shared.Rent((int)size);
            var length = 0;
            while (length < (int)size)
            {
                var read = RandomAccess.Read(handle, buffer.AsSpan(length, (int)size - length), length);
                if (read == 0)
                {
                    break;
                }

                length += read;
            }

            return new FileContent(buffer, length);
        }
        catch (Exception e) when (FileErrors.IsFileError(e))
        {
            if (buffer is not null)
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }

            throw FileErrors.ToUserException(e, $"The image {path} cannot be read");
        }
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(_buffer);
}
