using System.Globalization;
using System.Security.Cryptography;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Registers;

/// <summary>
/// The averaged register of one extraction block: a key and a value row for every block from there on.
/// </summary>
/// <param name="ExtractionBlock">Block t at whose input the tokens were ranked.</param>
/// <param name="Tokens">The tokens that were averaged, best first.</param>
/// <param name="Keys">Mean key of blocks t.. [L-t,C], float32.</param>
/// <param name="Values">Mean value of blocks t.. [L-t,C], float32.</param>
/// <param name="Hidden">Mean residual row entering blocks t.. [L-t,C], float32; for diagnosis.</param>
public sealed record PrefixCache(
    int ExtractionBlock, ValueList<OutlierToken> Tokens, Tensor Keys, Tensor Values, Tensor Hidden) : ITensorHolder, IDisposable
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => [Keys, Values, Hidden];

    /// <summary>Reads a prefix that `extract` wrote.</summary>
    /// <exception cref="UserException">The file is missing, damaged, or no prefix file.</exception>
    public static PrefixCache Load(string path) => PrefixCacheFile.Load(path);

    /// <summary>The prefix that a plan plugs into the attention of blocks.</summary>
    /// <param name="device">Where the encoder runs.</param>
    public RegisterPrefix ToPrefix(torch.Device device)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Keys.bytes);
        hash.AppendData(Values.bytes);
        var id = $"t{ExtractionBlock}-{Convert.ToHexStringLower(hash.GetHashAndReset())[..16]}";
        Tensor Row(Tensor rows, int index) => TensorScope.Run(() => rows[index].to(device));
        return new(
            id,
            Enumerable.Range(0, (int)Keys.shape[0]).ToDictionary(
                index => ExtractionBlock + index, index => (Row(Keys, index), Row(Values, index))));
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var tensor in Tensors)
        {
            tensor.Dispose();
        }
    }
}

/// <summary>What a prefix file was made from; a file with another key is not used.</summary>
internal sealed record PrefixKey(
    string Model,
    string Pretrained,
    string ModelHash,
    int ExtractionBlock,
    int TopTokens,
    ScoreTensor ScoreTensor,
    int Images,
    string Dataset)
{
    /// <summary>The metadata of the file.</summary>
    public IReadOnlyDictionary<string, string> ToMetadata() => new Dictionary<string, string>
    {
        ["model"] = Model,
        ["pretrained"] = Pretrained,
        ["model_hash"] = ModelHash,
        ["t"] = ExtractionBlock.ToString(),
        ["topn"] = TopTokens.ToString(),
        ["score_tensor"] = ScoreTensor.ToString(),
        ["images"] = Images.ToString(),
        ["dataset_fingerprint"] = Dataset,
        ["tool_version"] = KitVersions.Current["regcache"],
    };
}

/// <summary>
/// The averaged prefixes in the run directory, one file a block. They do not depend on the quantizer, so runs of one model at
/// other bit-widths may share them.
/// </summary>
internal sealed class PrefixFiles(Experiment experiment, RegCacheOptions options)
{
    private readonly string _folder = FolderOf(experiment);

    public static string FolderOf(Experiment experiment) =>
        experiment.Directory.PathOf($"clip_global_prefix_{experiment.Name}_{experiment.Options.Pretrained}");

    /// <summary>The prefixes of the blocks: stored ones where they belong to model, images and options, the others computed and stored.</summary>
    /// <param name="blocks">The blocks.</param>
    /// <param name="compute">Computes the prefixes of the blocks that it is given.</param>
    /// <returns>The caller disposes the prefixes.</returns>
    public IReadOnlyDictionary<int, PrefixCache> GetOrCompute(
        ValueList<int> blocks, Func<ValueList<int>, IReadOnlyDictionary<int, PrefixCache>> compute)
    {
        var caches = new Dictionary<int, PrefixCache>();
        if (!experiment.Directory.Force)
        {
            foreach (var block in blocks)
            {
                if (PrefixCacheFile.TryLoad(PathOf(block), Key(block), experiment.Progress) is { } cache)
                {
                    caches.Add(block, cache);
                }
            }
        }

        // What one process lacks all compute, because they share the images.
        var lacking = Processes.Current.SumCounts([.. blocks.Select(block => caches.ContainsKey(block) ? 0L : 1)]);
        ValueList<int> missing = [.. blocks.Where((_, index) => lacking[index] > 0)];
        if (missing.Count > 0)
        {
            foreach (var (block, cache) in compute(missing))
            {
                PrefixCacheFile.Save(PathOf(block), cache, Key(block));
                caches.GetValueOrDefault(block)?.Dispose();
                caches[block] = cache;
            }
        }

        return caches;
    }

    private string PathOf(int block) => Path.Combine(_folder, $"block{block:00}.safetensors");

    private PrefixKey Key(int block) => new(
        experiment.Name,
        experiment.Options.Pretrained,
        experiment.ModelKey,
        block,
        options.TopTokens,
        options.ScoreTensor,
        experiment.Search.Count,
        experiment.Search.Fingerprint);
}

/// <summary>The safetensors file of a <see cref="PrefixCache"/>.</summary>
internal static class PrefixCacheFile
{
    public static void Save(string path, PrefixCache cache, PrefixKey key)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var blocks = Enumerable.Range(0, (int)cache.Keys.shape[0]).ToArray();
        WeightEntry Row(string name, Tensor rows, int index) => WeightEntry.FromValues<float>(
            $"{name}.{cache.ExtractionBlock + index}", rows[index].data<float>().ToArray(), rows.shape[1]);

        SafetensorsWriter.Write(
            path,
            [
                .. blocks.Select(index => Row("key", cache.Keys, index)),
                .. blocks.Select(index => Row("value", cache.Values, index)),
                .. blocks.Select(index => Row("hidden", cache.Hidden, index)),
                Column("score", cache, token => token.Score),
                Column("image_index", cache, token => (long)token.Image),
                Column("token_index", cache, token => (long)token.Token),
            ],
            key.ToMetadata());
    }

    /// <summary>The cache of a file that belongs to the key; null when there is none, or it is of another run.</summary>
    public static PrefixCache? TryLoad(string path, PrefixKey key, IWorkProgress progress)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            using var file = WeightFile.Open(path);
            if (key.ToMetadata().Any(pair => file.Metadata.GetValueOrDefault(pair.Key) != pair.Value))
            {
                progress.Message($"{path} was made from another model, other images or other options; it is computed again.");
                return null;
            }

            var cache = Read(file, key.ExtractionBlock);
            progress.Message($"{path}: prefix of block {key.ExtractionBlock} used again (--force computes it again).");
            return cache;
        }
        catch (Exception exception) when (exception is UserException or KeyNotFoundException)
        {
            progress.Message($"{path} is damaged or incomplete; it is computed again.");
            return null;
        }
    }

    /// <summary>The cache of a file, whatever it was made from.</summary>
    /// <exception cref="UserException">The file is missing, damaged, or no prefix file.</exception>
    public static PrefixCache Load(string path)
    {
        using var file = WeightFile.Open(path);
        try
        {
            return Read(file, int.Parse(file.Metadata["t"], CultureInfo.InvariantCulture));
        }
        catch (Exception exception) when (exception is KeyNotFoundException or FormatException or InvalidOperationException)
        {
            throw new UserException($"{path} is no prefix file; give one that `regcache extract` wrote (blockNN.safetensors).", exception);
        }
    }

    private static PrefixCache Read(WeightFile file, int extractionBlock)
    {
        var tensors = file.Tensors.ToDictionary(entry => entry.Name);
        Tensor Rows(string name) => TensorScope.Run(() =>
        {
            var rows = new List<Tensor>();
            while (tensors.TryGetValue($"{name}.{extractionBlock + rows.Count}", out var entry))
            {
                rows.Add(torch.tensor(entry.ToArray<float>()));
            }

            return torch.stack(rows);
        });

        var scores = tensors["score"].ToArray<float>();
        var images = tensors["image_index"].ToArray<long>();
        var positions = tensors["token_index"].ToArray<long>();
        return new(
            extractionBlock,
            [.. scores.Select((score, index) => new OutlierToken(score, (int)images[index], (int)positions[index]))],
            Rows("key"),
            Rows("value"),
            Rows("hidden"));
    }

    private static WeightEntry Column<T>(string name, PrefixCache cache, Func<OutlierToken, T> value)
        where T : unmanaged =>
        WeightEntry.FromValues<T>(name, cache.Tokens.Select(value).ToArray(), cache.Tokens.Count);
}
