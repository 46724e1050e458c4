namespace RegCache.Lab.Tests.Data.Images;

/// <summary>A folder that is deleted with everything in it.</summary>
internal sealed class ScratchFolder : IDisposable
{
    public ScratchFolder() => Root = Directory.CreateTempSubdirectory("regcache-images-").FullName;

    /// <summary>A small JPEG file.</summary>
    public static byte[] Jpeg { get; } = File.ReadAllBytes(System.IO.Path.Combine(PillowCases.Folder, "jpeg-420.jpg"));

    public string Root { get; }

    public string Path(params string[] parts)
    {
        var path = System.IO.Path.Combine([Root, .. parts]);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        return path;
    }

    public string Write(byte[] content, params string[] parts)
    {
        var path = Path(parts);
        File.WriteAllBytes(path, content);
        return path;
    }

    /// <summary>Copies a file of the test images.</summary>
    public string Copy(string image, params string[] parts) =>
        Write(File.ReadAllBytes(System.IO.Path.Combine(PillowCases.Folder, image)), parts);

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
