using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>What is drawn from a folder of training images.</summary>
/// <param name="PerClass">Images of every class in the sample for register extraction and search.</param>
/// <param name="Calibration">Images in the calibration set.</param>
/// <param name="Seed">Seed of the drawing.</param>
public sealed record TrainingSampleOptions(int PerClass = 50, int Calibration = 1024, long Seed = 0);

/// <summary>
/// The two sets that RegCache takes from the training images: some images of every class for extraction and search, and a
/// calibration set drawn from all classes alike, of images that are not in the sample as far as there are enough.
/// </summary>
/// <remarks>
/// Each image has a random number that depends on the seed and its path below the training folder alone; the smallest numbers
/// are drawn. So the sets do not depend on the machine or the order of a listing, a larger set holds the smaller one, and one
/// image more or less in the folder changes at most one image of its class.
/// </remarks>
/// <param name="Search">The sample, as paths below the training folder with forward slashes, sorted.</param>
/// <param name="CalibrationImages">The calibration set, likewise.</param>
/// <param name="Notes">What could not be done as asked, a sentence each.</param>
public sealed record TrainingSample(IReadOnlyList<string> Search, IReadOnlyList<string> CalibrationImages, IReadOnlyList<string> Notes)
{
    private const int MostNamed = 10;
    private const long SearchPurpose = 0x5EA7C4;
    private const long CalibrationPurpose = 0xCA11B;

    /// <summary>Draws both sets.</summary>
    /// <param name="source">The training images.</param>
    /// <param name="options">How many, and the seed.</param>
    /// <param name="progress">Told how far it is.</param>
    /// <param name="cancellation">Stops the drawing.</param>
    /// <exception cref="UserException">The numbers are impossible.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static TrainingSample Draw(
        ClassFolderDataset source, TrainingSampleOptions options, IWorkProgress progress, CancellationToken cancellation = default)
    {
        if (options.PerClass < 1 || options.Calibration < 1)
        {
            throw new UserException($"{options.PerClass} images a class and {options.Calibration} for calibration cannot be drawn: ask for at least one of each.");
        }

        var (known, links) = (new KnownFiles(), new LeftOutCounter());
        List<(ulong Key, string Path)> search = [], ofClass = [];
        var calibration = new Smallest(options.Calibration);
        List<string> few = [];
        using var work = progress.Start("drawing", source.Count, "images");
        for (var (label, first) = (0, 0); label < source.ClassNames.Count; label++)
        {
            cancellation.ThrowIfCancellationRequested();
            var end = first;
            for (ofClass.Clear(); end < source.Count && source.Labels[end] == label; end++)
            {
                var file = source.Name(end);
                var path = Path.GetRelativePath(source.Root, file).Replace('\\', '/');
                if (known.Reason(file) is { } reason)
                {
                    links.Add(reason, path);
                }
                else
                {
                    ofClass.Add((Number(options.Seed, SearchPurpose, path), path));
                }
            }

            ofClass.Sort();
            if (ofClass.Count < options.PerClass)
            {
                few.Add($"{source.ClassNames[label]} ({ofClass.Count})");
            }

            search.AddRange(ofClass.Take(options.PerClass));
            foreach (var (rank, image) in ofClass.Index())
            {
                calibration.Offer((rank < options.PerClass, Number(options.Seed, CalibrationPurpose, image.Path), image.Path));
            }

            first = end;
            work.Report(end);
        }

        var shared = calibration.Items.Count(item => item.IsShared);
        List<string> notes = [.. links.Reasons.Select(reason => $"Passed over: {reason}.")];
        if (few.Count > 0)
        {
            notes.Add($"{few.Count} classes have fewer than {options.PerClass} images; all of theirs are in the sample: {Some(few)}.");
        }

        if (calibration.Items.Count < options.Calibration)
        {
            notes.Add($"There are only {calibration.Items.Count} images, so the calibration set has {calibration.Items.Count} instead of {options.Calibration}.");
        }

        if (shared > 0)
        {
            notes.Add($"{shared} images of the calibration set are in the sample too, because too few are left outside it.");
        }

        return new(Sorted(search.Select(item => item.Path)), Sorted(calibration.Items.Select(item => item.Path)), notes);
    }

    private static ulong Number(long seed, long purpose, string path) =>
        CounterRandom.Of(seed, purpose, (long)XxHash3.HashToUInt64(MemoryMarshal.AsBytes(path.AsSpan()))).NextBits();

    private static string[] Sorted(IEnumerable<string> paths) => [.. paths.Order(StringComparer.Ordinal)];

    private static string Some(List<string> names) => string.Join(", ", names.Take(MostNamed)) + (names.Count > MostNamed ? ", ..." : "");

    /// <summary>The smallest items of many, in memory for those alone. Images outside the sample come before those in it.</summary>
    private sealed class Smallest(int count)
    {
        private static readonly Comparer<(bool IsShared, ulong Key, string Path)> Largest = Comparer<(bool IsShared, ulong Key, string Path)>.Create((a, b) =>
            a.IsShared != b.IsShared ? b.IsShared.CompareTo(a.IsShared)
            : a.Key != b.Key ? b.Key.CompareTo(a.Key)
            : string.CompareOrdinal(b.Path, a.Path));

        private readonly PriorityQueue<(bool IsShared, ulong Key, string Path), (bool IsShared, ulong Key, string Path)> _queue = new(Largest);

        public IReadOnlyList<(bool IsShared, ulong Key, string Path)> Items => [.. _queue.UnorderedItems.Select(item => item.Element)];

        public void Offer((bool IsShared, ulong Key, string Path) item)
        {
            if (_queue.Count < count)
            {
                _queue.Enqueue(item, item);
            }
            else
            {
                _queue.EnqueueDequeue(item, item);
            }
        }
    }

    /// <summary>Tells files by where they really lie, so that a link never brings in a file for the second time.</summary>
    private sealed class KnownFiles
    {
        private readonly HashSet<UInt128> _seen = [];
        private string _folder = "", _real = "";

        /// <summary>Why a file is passed over; null: it is new.</summary>
        public string? Reason(string file)
        {
            // .NET puts this character in the place of bytes that are no UTF-8, so the name leads nowhere.
            if (file.Contains('\uFFFD', StringComparison.Ordinal))
            {
                return "names that are not UTF-8";
            }

            var folder = Path.GetDirectoryName(file)!;
            if (folder != _folder)
            {
                (_folder, _real) = (folder, ImageFiles.RealPath(folder));
            }

            var place = Path.Combine(_real, Path.GetFileName(file));
            if (new FileInfo(file).LinkTarget is { } target)
            {
                place = Path.Combine(_real, target);
                if (!File.Exists(place))
                {
                    return "links that lead to no file";
                }

                place = ImageFiles.RealPath(place);
            }

            return _seen.Add(XxHash128.HashToUInt128(Encoding.UTF8.GetBytes(place))) ? null : "links to files that are there already";
        }
    }
}
