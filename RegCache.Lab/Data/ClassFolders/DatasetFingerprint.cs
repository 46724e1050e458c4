using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.ClassFolders;

/// <summary>Hashes names, lengths and ends of files; see <see cref="ClassFolderDataset.ComputeFingerprint"/>.</summary>
internal static class DatasetFingerprint
{
    private const int EndLength = 4096;

    public static string Compute(string root, IReadOnlyList<string> paths, CancellationToken cancellation)
    {
        var digests = new byte[paths.Count][];
        try
        {
            Parallel.For(
                0,
                paths.Count,
                new ParallelOptions { CancellationToken = cancellation },
                i => digests[i] = Digest(root, paths[i]));
        }
        catch (AggregateException e) when (e.InnerExceptions.OfType<UserException>().FirstOrDefault() is { } first)
        {
            throw new UserException(first.Message, e);
        }

        using var all = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var digest in digests)
        {
            all.AppendData(digest);
        }

        return Convert.ToHexStringLower(all.GetHashAndReset());
    }

    private static byte[] Digest(string root, string path)
    {
        try
        {
            using var handle = File.OpenHandle(path);
            var length = RandomAccess.GetLength(handle);
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            // The same set has the same fingerprint on every system.
            hash.AppendData(Encoding.UTF8.GetBytes(Path.GetRelativePath(root, path).Replace('\\', '/')));
            Span<byte> number = stackalloc byte[9];
            number.Clear();
            BinaryPrimitives.WriteInt64LittleEndian(number[1..], length);
            hash.AppendData(number);
            Span<byte> end = stackalloc byte[EndLength];
            hash.AppendData(end[..RandomAccess.Read(handle, end, 0)]);
            if (length > EndLength)
            {
                hash.AppendData(end[..RandomAccess.Read(handle, end, Math.Max(EndLength, length - EndLength))]);
            }

            return hash.GetHashAndReset();
        }
        catch (Exception e) when (FileErrors.IsFileError(e))
        {
            throw FileErrors.ToUserException(e, $"The image {path} cannot be read");
        }
    }
}
