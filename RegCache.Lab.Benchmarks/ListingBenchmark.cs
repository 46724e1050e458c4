using RegCache.Lab.Data;
using RegCache.Lab.Data.Manifests;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// What is done with a large tree of class folders before any image is decoded: listing it, looking at the beginning of every
/// file, and drawing samples from it. Listing takes turns with a plain list of paths, whose memory is the measure.
/// </summary>
internal static class ListingBenchmark
{
    private const int FilesOfClass = 100;
    private const int Side = 16;

    public static void Run(int files, int rounds)
    {
        var root = Directory.CreateTempSubdirectory("regcache-listing-").FullName;
        try
        {
            Make(root, files);
            Console.WriteLine($"{files} JPEG files in {(files + FilesOfClass - 1) / FilesOfClass} class folders, {rounds} rounds, {Environment.ProcessorCount} threads");
            MeasureListing(root, files, rounds);
            MeasureUse(root, files, rounds);
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static void Make(string root, int files)
    {
        var image = PreprocessingPictures.Make(Side, Side, seed: 0);
        Parallel.For(0, (files + FilesOfClass - 1) / FilesOfClass, label =>
        {
            // Names as long as ImageNet's.
            var name = $"n{label:D8}";
            var folder = Directory.CreateDirectory(Path.Combine(root, name)).FullName;
            for (var index = label * FilesOfClass; index < Math.Min(files, (label + 1) * FilesOfClass); index++)
            {
                File.WriteAllBytes(Path.Combine(folder, $"{name}_{index:D5}.JPEG"), image);
            }
        });
    }

    private static void MeasureListing(string root, int files, int rounds)
    {
        long setBytes = 0, pathBytes = 0;
        var timing = PairedTiming.Measure(
            rounds,
            () => Held(() => ClassFolderDataset.OpenClasses(root), out setBytes),
            () => Held(() => Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories).ToArray(), out pathBytes));
        Console.WriteLine("  step                                     files/s   bytes of memory a file");
        Print("listing with labels", files / timing.FirstMedian, $"{(double)setBytes / files,6:0}");
        Print("plain list of paths", files / timing.SecondMedian, $"{(double)pathBytes / files,6:0}");
        Console.WriteLine($"  listing is {timing.Ratio:0.00} ({timing.RatioRange.Low:0.00} .. {timing.RatioRange.High:0.00}) times as fast as the plain list");
    }

    private static void MeasureUse(string root, int files, int rounds)
    {
        var manifest = Manifest(files);
        DatasetCheckOptions options = new() { Root = root, GetVariable = _ => null };
        double Check(bool deep) => PairedTiming.Seconds(() =>
        {
            var problems = DatasetCheck.Run(manifest, options with { Deep = deep }, SilentProgress.Instance).Problems;
            if (problems.Count > 0)
            {
                throw new InvalidOperationException(problems[0].Sentence);
            }
        });
        var check = PairedTiming.Measure(rounds, () => Check(deep: false), () => Check(deep: true));
        Print("listing and looking at every file", files / check.FirstMedian);
        Print($"listing and decoding every {Side}x{Side} image", files / check.SecondMedian);
        using var source = ClassFolderDataset.OpenClasses(root);
        var draws = new List<double>();
        for (var round = 0; round < rounds; round++)
        {
            draws.Add(PairedTiming.Seconds(() => TrainingSample.Draw(source, new(), SilentProgress.Instance)));
        }

        Print("drawing both samples", files / draws.Order().ElementAt(rounds / 2));
    }

    private static DatasetManifest Manifest(int files) => new()
    {
        Name = "tree",
        Title = "tree",
        Purpose = "measurement",
        HomePage = "docs/data.md",
        Licence = new("none"),
        Layout = ["n00000000/n00000000_00000.JPEG"],
        Splits = [new("all", "measurement", "folders", new Dictionary<string, long> { ["images"] = files })],
    };

    // Seconds to make something, and the memory that it holds afterwards.
    private static double Held<T>(Func<T> make, out long bytes)
        where T : class
    {
        var before = GC.GetTotalMemory(forceFullCollection: true);
        T? made = null;
        var seconds = PairedTiming.Seconds(() => made = make());
        bytes = GC.GetTotalMemory(forceFullCollection: true) - before;
        GC.KeepAlive(made);
        return seconds;
    }

    private static void Print(string step, double perSecond, string memory = "") => Console.WriteLine($"  {step,-38} {perSecond,9:N0}   {memory}");
}
