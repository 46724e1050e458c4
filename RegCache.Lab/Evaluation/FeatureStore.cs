using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// Features that a run directory keeps, so that they are computed once: safetensors in its folder <c>features</c>, named after the hash of
/// what they were made from. A long pass writes what it has in parts, and a killed one goes on behind the last part with the same numbers.
/// </summary>
/// <param name="directory">The run directory.</param>
/// <param name="interval">Least time between two parts; null: 30 seconds.</param>
public sealed class FeatureStore(RunDirectory directory, TimeSpan? interval = null)
{
    private const string Features = "features";
    private const string Rows = "rows";
    private const string Key = "key";
    private const string Sum = "sha256";
    private const string First = "first";
    private const string End = "end";
    private const int NameLength = 32;

    private readonly string _folder = directory.PathOf(Features);
    private readonly TimeSpan _interval = interval ?? TimeSpan.FromSeconds(30);

    /// <summary>The features of some plans on one set: those that are kept, and the others in one pass.</summary>
    /// <param name="keys">What the features of each plan are made from.</param>
    /// <param name="title">What a message calls them.</param>
    /// <param name="compute">
    /// Does a pass: from the plans that are wanted, and the row to begin with, which is the <see cref="FeatureBatch.End"/> of a batch, to batches.
    /// </param>
    /// <returns>A table for each plan, in their order.</returns>
    /// <exception cref="UserException">A file cannot be read or written.</exception>
    public IReadOnlyList<FeatureTable> GetOrCompute(
        IReadOnlyList<StageKey> keys, string title, Func<IReadOnlyList<int>, int, IEnumerable<FeatureBatch>> compute)
    {
        Prepare();
        var tables = keys.Select(key => directory.Force ? null : ReadWhole(key)).ToArray();
        int[] wanted = [.. Enumerable.Range(0, keys.Count).Where(plan => tables[plan] is null)];
        if (wanted.Length == 0)
        {
            directory.Progress.Message($"{title}: computed before from the same model, plan and data (--force computes them again).");
            return tables!;
        }

        Run([.. wanted.Select(plan => keys[plan])], title, first => compute(wanted, first))
            .Zip(wanted).ToList().ForEach(pair => tables[pair.Second] = pair.First);
        return tables!;
    }

    private IReadOnlyList<FeatureTable> Run(IReadOnlyList<StageKey> keys, string title, Func<int, IEnumerable<FeatureBatch>> compute)
    {
        var parts = keys.Select(ReadParts).ToList();
        // All plans go on at one row: the last one at which every plan has a part's end.
        var first = parts.Select(own => own.Select(part => part.End).Prepend(0)).Aggregate((one, other) => one.Intersect(other)).Max();
        parts.ForEach(own => own.RemoveAll(part => part.End > first));
        if (first > 0)
        {
            directory.Progress.Message($"{title}: going on from the checkpoint of an earlier run, at {first}.");
        }

        var pending = new List<FeatureBatch>();
        var lastWrite = TimeProvider.System.GetTimestamp();
        foreach (var batch in compute(first))
        {
            pending.Add(batch);
            if (TimeProvider.System.GetElapsedTime(lastWrite) >= _interval)
            {
                foreach (var (plan, part) in Join(pending, first).Index())
                {
                    Write(PathOf(keys[plan], PartName(parts[plan].Count)), keys[plan], part);
                    parts[plan].Add(part);
                }

                first = batch.End;
                pending.ForEach(done => done.Dispose());
                pending.Clear();
                lastWrite = TimeProvider.System.GetTimestamp();
            }
        }

        if (pending.Count > 0)
        {
            foreach (var (plan, part) in Join(pending, first).Index())
            {
                parts[plan].Add(part);
            }

            pending.ForEach(done => done.Dispose());
        }

        return [.. keys.Zip(parts, Finish)];
    }

    private FeatureTable Finish(StageKey key, List<Part> parts)
    {
        var table = TensorScope.Run(() => new FeatureTable(torch.cat([.. parts.Select(part => part.Table.Features)]), [.. parts.SelectMany(part => part.Table.Rows)]));
        parts.ForEach(part => part.Table.Dispose());
        Write(PathOf(key, ""), key, new(table, 0, parts[^1].End));
        RemoveParts(key);
        return table;
    }

    // What was computed between two writes, a part for each plan.
    private static IEnumerable<Part> Join(List<FeatureBatch> batches, int first)
    {
        int[] rows = [.. batches.SelectMany(batch => batch.Rows)];
        for (var plan = 0; plan < batches[0].Features.Count; plan++)
        {
            var features = TensorScope.Run(() => torch.cat([.. batches.Select(batch => batch.Features[plan])]));
            yield return new(new(features, rows), first, batches[^1].End);
        }
    }

    private FeatureTable? ReadWhole(StageKey key)
    {
        var whole = TryRead(PathOf(key, ""), key);
        if (whole is not null)
        {
            // A run that was killed as soon as it had written the whole left its parts.
            RemoveParts(key);
        }

        return whole?.Table;
    }

    private List<Part> ReadParts(StageKey key)
    {
        if (directory.Force)
        {
            RemoveParts(key);
        }

        var parts = new List<Part>();
        // A part that does not begin where the one before it ends is left from an older run.
        while (TryRead(PathOf(key, PartName(parts.Count)), key) is { } part && part.First == (parts.Count == 0 ? 0 : parts[^1].End))
        {
            parts.Add(part);
        }

        return parts;
    }

    private void RemoveParts(StageKey key)
    {
        foreach (var file in Processes.IsFirst ? Directory.GetFiles(_folder, Path.GetFileName(PathOf(key, ".part*"))) : [])
        {
            File.Delete(file);
        }
    }

    private Part? TryRead(string path, StageKey key)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            using var file = WeightFile.Open(path);
            var rows = file[Rows].ToArray<long>();
            using var scope = torch.NewDisposeScope();
            var features = file[Features].ToTensor(torch.ScalarType.Float32);
            if (file.Metadata[Key] == key.Hash && file.Metadata[Sum] == Checksum(features, rows) && features.shape[0] == rows.Length)
            {
                int Number(string name) => int.Parse(file.Metadata[name], CultureInfo.InvariantCulture);
                return new(new(features.DetachFromDisposeScope(), [.. rows.Select(row => (int)row)]), Number(First), Number(End));
            }
        }
        catch (Exception exception) when (exception is UserException or KeyNotFoundException or FormatException)
        {
            // Told below: whatever is wrong with the file, its content is computed again.
        }

        directory.Progress.Message($"{path} is damaged; what it held is computed again.");
        return null;
    }

    private static void Write(string path, StageKey key, Part part)
    {
        long[] rows = [.. part.Table.Rows.Select(row => (long)row)];
        SafetensorsWriter.Write(
            path,
            [WeightEntry.FromTensor(Features, part.Table.Features), WeightEntry.FromValues<long>(Rows, rows, rows.Length)],
            new Dictionary<string, string>
            {
                [Key] = key.Hash,
                ["inputs"] = key.Inputs.GetRawText(),
                [First] = part.First.ToString(CultureInfo.InvariantCulture),
                [End] = part.End.ToString(CultureInfo.InvariantCulture),
                [Sum] = Checksum(part.Table.Features, rows),
            });
    }

    private static string Checksum(Tensor features, long[] rows)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(features.bytes);
        hash.AppendData(MemoryMarshal.AsBytes<long>(rows));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static string PartName(int number) => $".part{number:0000}";

    private void Prepare()
    {
        try
        {
            Directory.CreateDirectory(_folder);
            AtomicFile.RemoveLeftovers(_folder);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The folder {_folder} cannot be used (--run-dir)");
        }
    }

    private string PathOf(StageKey key, string part) => Path.Combine(_folder, $"{key.Hash[..NameLength]}{part}.safetensors");

    private sealed record Part(FeatureTable Table, int First, int End);
}

/// <summary>Features of some rows of a set.</summary>
/// <param name="Features">Features [R,E], float32 on the CPU.</param>
/// <param name="Rows">The row in the set of each of them, ascending; unreadable ones are missing.</param>
public sealed record FeatureTable(Tensor Features, IReadOnlyList<int> Rows) : ITensorHolder, IDisposable
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => [Features];

    /// <inheritdoc />
    public void Dispose() => Features.Dispose();
}

/// <summary>What a pass has computed of one batch.</summary>
/// <param name="Rows">The rows of the set that the features are of; unreadable ones are missing.</param>
/// <param name="End">The row at which the next batch begins.</param>
/// <param name="Features">For each plan its features [R,E], float32 on the CPU.</param>
public sealed record FeatureBatch(IReadOnlyList<int> Rows, int End, IReadOnlyList<Tensor> Features) : IDisposable
{
    /// <inheritdoc />
    public void Dispose() => Features.ToList().ForEach(features => features.Dispose());
}
