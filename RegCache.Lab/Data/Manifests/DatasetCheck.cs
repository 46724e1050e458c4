using System.Collections.Concurrent;
using System.Security.Cryptography;
using CsvHelper;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.Manifests;

/// <summary>How a data set is checked.</summary>
public sealed record DatasetCheckOptions
{
    /// <summary>The root of the data set, instead of what environment variables say.</summary>
    public string? Root { get; init; }

    /// <summary>Names of the splits to check; empty: all of them.</summary>
    public IReadOnlyList<string> Splits { get; init; } = [];

    /// <summary>Decode every image, read every caption in shards, and compare published checksums. Otherwise the first bytes of image files are looked at.</summary>
    public bool Deep { get; init; }

    /// <summary>Which image files are in order.</summary>
    public DecodingOptions Decoding { get; init; } = DecodingOptions.Default;

    /// <summary>Threads that read and decode.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>The value of an environment variable, or null.</summary>
    public Func<string, string?> GetVariable { get; init; } = Environment.GetEnvironmentVariable;
}

/// <summary>What a check found.</summary>
/// <param name="Manifest">The data set.</param>
/// <param name="Splits">Its parts that were looked for.</param>
/// <param name="Checksums">The files whose checksums were compared.</param>
public sealed record DatasetCheckReport(DatasetManifest Manifest, IReadOnlyList<SplitCheck> Splits, IReadOnlyList<ChecksumCheck> Checksums)
{
    /// <summary>Everything that is wrong, a sentence each.</summary>
    public IReadOnlyList<DatasetProblem> Problems =>
    [
        .. Splits.SelectMany(split => split.Problems.Select(problem => new DatasetProblem(split.Split.Name, problem))),
        .. Checksums.Where(sum => !sum.IsRight).Select(sum => new DatasetProblem(
            "", $"{sum.File} is not the published file: its checksum is {sum.Found} instead of {sum.Expected}; fetch it again.")),
    ];

    /// <summary>Writes all problems as CSV: data set, split, sentence.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void WriteProblems(string path) =>
        CsvTable.Write(path, Problems.Select(problem => new ProblemCsv(Manifest.Name, problem.Split, problem.Sentence)));
}

/// <summary>A row of the list of problems.</summary>
[CsvRecord]
internal sealed partial record ProblemCsv(string Dataset, string Split, string Problem);

/// <summary>Something that is wrong with a data set.</summary>
/// <param name="Split">The split, or empty for the whole set.</param>
/// <param name="Sentence">What is wrong, where, and what to do.</param>
public sealed record DatasetProblem(string Split, string Sentence);

/// <summary>What a check found of a split.</summary>
/// <param name="Split">The split.</param>
/// <param name="Path">Where it was looked for; null where nothing says where it is, or where it is generated.</param>
/// <param name="Counts">What was counted, in the order of the manifest; empty where the split is not there.</param>
/// <param name="LeftOut">What lies there and is not used.</param>
/// <param name="Problems">What is wrong, a sentence each.</param>
public sealed record SplitCheck(
    DatasetSplit Split, string? Path, IReadOnlyList<CountCheck> Counts, IReadOnlyList<LeftOut> LeftOut, IReadOnlyList<string> Problems)
{
    /// <summary>Why an optional split was passed over; null: it was checked.</summary>
    public string? PassedOver { get; init; }
}

/// <summary>A number that was counted.</summary>
/// <param name="What">What was counted.</param>
/// <param name="Expected">What there should be; null: the manifest does not say.</param>
/// <param name="Found">What there is.</param>
public sealed record CountCheck(string What, long? Expected, long Found)
{
    /// <summary>Whether it is as it should be.</summary>
    public bool IsRight => Expected is null || Expected == Found;
}

/// <summary>A checksum that was compared.</summary>
/// <param name="File">The file.</param>
/// <param name="Expected">What was published.</param>
/// <param name="Found">What it is.</param>
public sealed record ChecksumCheck(string File, string Expected, string Found)
{
    /// <summary>Whether it is the published one.</summary>
    public bool IsRight => Expected == Found;
}

/// <summary>
/// Compares a data set on disk with its manifest: places, counts, and whether images can be read. What is wrong is collected, not
/// thrown, so that one run tells all of it.
/// </summary>
public static class DatasetCheck
{
    private const int StartLength = 32;
    private const int ReportEvery = 16;

    /// <summary>Checks a data set.</summary>
    /// <param name="manifest">What it should be.</param>
    /// <param name="options">What to check, and how.</param>
    /// <param name="progress">Told how far it is.</param>
    /// <param name="cancellation">Stops the check.</param>
    /// <exception cref="UserException">
    /// Nothing says where the data set is, a split or a reader is unknown, or no image can be decoded on this machine.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static DatasetCheckReport Run(
        DatasetManifest manifest, DatasetCheckOptions options, IWorkProgress progress, CancellationToken cancellation = default)
    {
        var named = options.Splits.Select(manifest.Split).ToList();
        var places = (named.Count > 0 ? named : manifest.Splits)
            .Select(split => (Split: split, Place: DatasetPlace.Find(manifest, split, options.Root, options.GetVariable)))
            .ToList();
        if (places.All(part => part.Place is null && !DatasetReaders.Generates(part.Split)))
        {
            throw new UserException($"Nothing says where {manifest.Name} is: {DatasetPlace.Remedy(manifest, places[0].Split)}.");
        }

        // Where one of several alternatives is there, the others need not be.
        var mayPassOver = named.Count == 0 && places.Any(part => DatasetReaders.Generates(part.Split) || part.Place is { Exists: true });
        var checks = new List<SplitCheck>();
        foreach (var (split, place) in places)
        {
            cancellation.ThrowIfCancellationRequested();
            var reader = DatasetReaders.Find(split);
            checks.Add(
                reader.IsGenerated ? Check(new(manifest, split, null, ""), reader, options, progress, cancellation) with { Path = null }
                : place is { Exists: true } ? Check(place, reader, options, progress, cancellation)
                : NotThere(manifest, split, place, mayPassOver));
        }

        var roots = places.Select(part => part.Place?.Root).OfType<string>().Distinct().ToList();
        return new(manifest, checks, options.Deep ? [.. roots.SelectMany(root => CompareChecksums(manifest, root, progress, cancellation))] : []);
    }

    private static SplitCheck NotThere(DatasetManifest manifest, DatasetSplit split, DatasetPlace? place, bool mayPassOver)
    {
        var reason = place is null ? $"nothing says where it is ({DatasetPlace.Remedy(manifest, split)})" : place.Missing;
        return split.Optional && mayPassOver
            ? new(split, place?.Path, [], [], []) { PassedOver = reason }
            : new(split, place?.Path, [], [], [$"The split {split.Name} of {manifest.Name} is missing: {reason}; `regcache data show {manifest.Name}` shows how it should lie."]);
    }

    private static SplitCheck Check(
        DatasetPlace place, DatasetReader reader, DatasetCheckOptions options, IWorkProgress progress, CancellationToken cancellation)
    {
        var split = place.Split;
        DatasetContent content;
        try
        {
            content = List(place with { Decoding = options.Decoding }, reader, progress, cancellation);
        }
        catch (UserException exception)
        {
            return new(split, place.Path, [], [], [exception.Message]);
        }

        using (content)
        {
            var bad = Unreadable(content, split, options, progress, cancellation);
            var counts = split.Counts.Select(expected => Compare(expected.Key, expected.Value, content, reader)).ToList();
            counts.AddRange(content.Counts.Where(found => !split.Counts.ContainsKey(found.Key)).Select(found => new CountCheck(found.Key, null, found.Value)));
            if (content.Images is { } images && (options.Deep || content.ImagesAreFiles))
            {
                counts.Add(new(options.Deep ? "decoded images" : "image files by their first bytes", images.Count, images.Count - bad.Count));
            }

            var wrong = counts.Where(count => !count.IsRight && split.Counts.ContainsKey(count.What))
                .Select(count => $"{content.Inventory.Source} has {count.Found} {Spelled(count.What)} instead of {count.Expected}.");
            return new(split, place.Path, counts, content.Inventory.LeftOut, [.. wrong, .. content.Inventory.Warnings, .. bad]);
        }
    }

    private static DatasetContent List(DatasetPlace place, DatasetReader reader, IWorkProgress progress, CancellationToken cancellation)
    {
        var expected = place.Split.Counts.GetValueOrDefault("images");
        using var work = progress.Start($"listing {place.Split.Name}", expected, "images");
        var content = reader.Open(place, cancellation);
        work.Report(content.Counts.GetValueOrDefault("images"));
        return content;
    }

    private static CountCheck Compare(string what, long expected, DatasetContent content, DatasetReader reader) =>
        content.Counts.TryGetValue(what, out var found) ? new(what, expected, found)
        : what is "classes" or "smallest_class" or "largest_class" ? new(what, expected, 0)
        : throw new UserException($"The manifest expects {expected} {what}, which the reader {reader.Name} does not count ({reader.Help}): correct the manifest.");

    // In the order of the images, whichever thread was first.
    private static IReadOnlyList<string> Unreadable(
        DatasetContent content, DatasetSplit split, DatasetCheckOptions options, IWorkProgress progress, CancellationToken cancellation)
    {
        if (content.Images is not { } images || (!options.Deep && !content.ImagesAreFiles))
        {
            return [];
        }

        var (bad, done) = (new ConcurrentBag<(int Index, string Sentence)>(), 0);
        using var work = progress.Start($"{(options.Deep ? "decoding" : "looking at")} {split.Name}", images.Count, "images");
        try
        {
            Parallel.For(0, images.Count, new ParallelOptions { MaxDegreeOfParallelism = options.Threads, CancellationToken = cancellation }, index =>
            {
                try
                {
                    if (options.Deep)
                    {
                        images.Load(index).Dispose();
                        _ = (images as IPairSource)?.Caption(index);
                    }
                    else
                    {
                        LookAt(images.Name(index));
                    }
                }
                catch (UserException exception) when (!exception.ConcernsAllInput)
                {
                    bad.Add((index, exception.Message));
                }

                if (Interlocked.Increment(ref done) is var now && now % ReportEvery == 0)
                {
                    work.Report(now);
                }
            });
            work.Report(done);
        }
        catch (AggregateException exception) when (exception.InnerExceptions.OfType<UserException>().FirstOrDefault() is { } all)
        {
            throw new UserException(all.Message, exception);
        }

        return [.. bad.OrderBy(image => image.Index).Select(image => image.Sentence)];
    }

    // Finds what is empty, may not be read, leads nowhere or is something else: an HTML page, a Git LFS pointer.
    private static void LookAt(string path)
    {
        Span<byte> start = stackalloc byte[ContentKind.Length];
        try
        {
            using var file = File.OpenHandle(path);
            var length = RandomAccess.Read(file, start[..StartLength], 0);
            if (length == 0)
            {
                throw new UserException($"The image {path} is empty: fetch it again or remove it.");
            }

            if (!ImageDecoder.Recognises(start[..length]))
            {
                throw DecodingError.OtherKind(path, start[..RandomAccess.Read(file, start, 0)]);
            }
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw DecodingError.CannotBeRead(exception, path);
        }
    }

    private static IEnumerable<ChecksumCheck> CompareChecksums(
        DatasetManifest manifest, string root, IWorkProgress progress, CancellationToken cancellation)
    {
        const int megabyte = 1 << 20;
        var buffer = new byte[megabyte];
        foreach (var sum in manifest.Checksums)
        {
            var path = Path.Combine(root, sum.Path);
            if (!File.Exists(path))
            {
                // Archives are often thrown away when they are unpacked.
                continue;
            }

            var (algorithm, expected) = sum.Md5 is { } md5 ? (HashAlgorithmName.MD5, md5) : (HashAlgorithmName.SHA256, sum.Sha256!);
            using var hash = IncrementalHash.CreateHash(algorithm);
            try
            {
                using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
                using var work = progress.Start($"checksum of {sum.Path}", (file.Length + megabyte - 1) / megabyte, "MB");
                for (int length; (length = file.Read(buffer)) > 0;)
                {
                    cancellation.ThrowIfCancellationRequested();
                    hash.AppendData(buffer.AsSpan(0, length));
                    work.Report((file.Position + megabyte - 1) / megabyte);
                }
            }
            catch (Exception exception) when (FileErrors.IsFileError(exception))
            {
                throw FileErrors.ToUserException(exception, $"The file {path} cannot be read");
            }

            yield return new(path, expected, Convert.ToHexStringLower(hash.GetHashAndReset()));
        }
    }

    private static string Spelled(string count) => count switch
    {
        "smallest_class" => "images in the smallest class",
        "largest_class" => "images in the largest class",
        _ => count.Replace('_', ' '),
    };
}
