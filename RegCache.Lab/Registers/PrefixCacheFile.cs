using System.Globalization;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Registers;

/// <summary>The safetensors file of a <see cref="PrefixCache"/> (regcache.md, section 7).</summary>
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
        Tensor Rows(string name)
        {
            using var scope = torch.NewDisposeScope();
            var rows = new List<Tensor>();
            while (tensors.TryGetValue($"{name}.{extractionBlock + rows.Count}", out var entry))
            {
                rows.Add(torch.tensor(entry.ToArray<float>()));
            }

            return torch.stack(rows).DetachFromDisposeScope();
        }

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
