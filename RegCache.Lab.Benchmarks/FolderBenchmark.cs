using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// Images a second from a folder of JPEG files of 300 to 1200 pixels to normalised input of 224 x 224: the kit's image source beside
/// torchvision's ImageFolder with the same preprocessing in a DataLoader with two workers.
/// </summary>
internal static class FolderBenchmark
{
    private const string Kit = "this kit", Torchvision = "torchvision, 2 workers";
    private const int Size = 224, BatchSize = 32, Workers = 2;

    /// <summary>Measures and prints a table.</summary>
    /// <param name="images">Files of the folder.</param>
    /// <param name="rounds">Passes of each side, in turn.</param>
    public static void Run(int images, int rounds)
    {
        using var folder = PictureFolder.Make(images);
        using var set = ClassFolderDataset.OpenClasses(folder.Path);
        var source = new ImageSetSource(set, new(new PreprocessOptions(Size)), options: new() { Workers = Workers });
        using var peer = PyTorchPeer.Start(
            "image_folder.py", new { Folder = folder.Path, Size, Batch = BatchSize, Workers }, library: "torchvision");
        var contest = new RoundRobin();
        contest.Add(Kit, () => PairedTiming.Seconds(() => Read(source)));
        if (peer is not null)
        {
            contest.Add(Torchvision, peer.Run);
        }

        contest.Run(rounds);
        Console.WriteLine($"{folder}, to {Size} x {Size}, batch {BatchSize}, {Workers} workers, {rounds} rounds in turn");
        foreach (var name in contest.Names)
        {
            Console.WriteLine($"  {name,-24} {images / contest.Median(name),8:0.0} images/s");
        }

        if (peer is not null)
        {
            var (median, low, high) = contest.Ratio(Kit, Torchvision);
            Console.WriteLine($"  the kit is faster by     {median:0.00} ({low:0.00} .. {high:0.00}); aim: 1.5");
        }
    }

    private static void Read(ImageSetSource source)
    {
        var read = 0;
        foreach (var batch in source.ReadBatches(BatchSize))
        {
            using (batch)
            {
                read += batch.Count;
            }
        }

        if (read != source.Count)
        {
            throw new InvalidOperationException("Images are missing.");
        }
    }
}

/// <summary>A temporary folder of class folders with generated JPEG files.</summary>
internal sealed class PictureFolder : IDisposable
{
    private readonly int _count;

    private PictureFolder(string path, int count) => (Path, _count) = (path, count);

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>Makes the folder and the files.</summary>
    public static PictureFolder Make(int count)
    {
        var folder = new PictureFolder(Directory.CreateTempSubdirectory("regcache-folder-").FullName, count);
        try
        {
            PreprocessingPictures.WriteClasses(folder.Path, count);
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <inheritdoc />
    public override string ToString()
    {
        var bytes = Directory.EnumerateFiles(Path, "*", SearchOption.AllDirectories).Sum(file => new FileInfo(file).Length);
        return $"{_count} JPEG files of 300 to 1200 pixels a side, {bytes / 1024.0 / _count:0} KiB each";
    }

    /// <inheritdoc />
    public void Dispose() => Directory.Delete(Path, recursive: true);
}
