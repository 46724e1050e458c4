namespace RegCache.Lab.Reports;

/// <summary>Reads files that are small by nature, also from pipes, whose length nobody knows beforehand.</summary>
public static class SmallFile
{
    /// <summary>All bytes of a file.</summary>
    /// <param name="path">The file, or a pipe such as <c>/dev/stdin</c>.</param>
    /// <param name="most">The most bytes it may have.</param>
    /// <param name="what">What it should be, for the message: "a JSON file of this kind".</param>
    /// <exception cref="UserException">It has more.</exception>
    /// <exception cref="IOException">It cannot be read; see <see cref="FileErrors"/>.</exception>
    /// <exception cref="UnauthorizedAccessException">It must not be read.</exception>
    public static byte[] Read(string path, long most, string what)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        var content = new MemoryStream();
        var buffer = new byte[1 << 16];
        for (int count; (count = stream.Read(buffer)) > 0;)
        {
            content.Write(buffer, 0, count);
            if (content.Length > most)
            {
                throw new UserException($"{path} has more than {most} bytes, too many for {what}; check the path.");
            }
        }

        return content.ToArray();
    }
}
