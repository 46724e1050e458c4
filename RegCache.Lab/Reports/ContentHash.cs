using System.Security.Cryptography;

namespace RegCache.Lab.Reports;

/// <summary>What identifies a model or data file, wherever it lies: the SHA-256 of its bytes.</summary>
public static class ContentHash
{
    private const int ReadSize = 1 << 20;

    /// <summary>The SHA-256 of a value's canonical JSON, 64 lower-case hexadecimal digits; equal values have equal hashes.</summary>
    public static string OfValue<T>(T value) => Convert.ToHexStringLower(SHA256.HashData(ReportJson.Canonical(value)));

    /// <summary>The SHA-256 of bytes in memory, 64 lower-case hexadecimal digits.</summary>
    public static string OfBytes(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>The SHA-256 of a file, 64 lower-case hexadecimal digits.</summary>
    /// <exception cref="UserException">The file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static string OfFile(string path, CancellationToken cancellation = default)
    {
        try
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            var buffer = new byte[ReadSize];
            for (int read; (read = stream.Read(buffer)) > 0;)
            {
                cancellation.ThrowIfCancellationRequested();
                hash.AppendData(buffer, 0, read);
            }

            return Convert.ToHexStringLower(hash.GetHashAndReset());
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The file {path} cannot be read");
        }
    }
}
