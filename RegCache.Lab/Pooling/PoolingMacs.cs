using RegCache.Lab.Pooling.Language;

namespace RegCache.Lab.Pooling;

/// <summary>How multiply-accumulates are counted.</summary>
public enum MacsCounting
{
    /// <summary>Everything that multiplies: attention and the boundary predictor, too.</summary>
    Complete,

    /// <summary>
    /// As the released script counts, to compare with its tables: without the attention of plain ViTs, whose fused operator it does not know, and without
    /// the boundary predictor.
    /// </summary>
    Legacy,
}

/// <summary>
/// Multiply-accumulates of one sample, by the rules of the released counting script: linear layers n i o, products of attention m n k, 5 an element of a
/// LayerNorm, everything else nothing (docs/methods/dynamic-pooling.md, "Cost").
/// </summary>
public static class PoolingMacs
{
    /// <summary>A layer with relative attention on <paramref name="tokens"/> tokens: 5 n D^2 + 3 n^2 D + 2 n D D' + 10 n D.</summary>
    /// <param name="tokens">Tokens n.</param>
    /// <param name="width">Channels D.</param>
    /// <param name="inner">Channels of the MLP D'.</param>
    public static long RelativeLayer(long tokens, long width, long inner) =>
        (5 * tokens * width * width) + (3 * tokens * tokens * width) + (2 * tokens * width * inner) + (10 * tokens * width);

    /// <summary>The MLP that predicts boundaries: n D D' + n D'.</summary>
    public static long Predictor(long tokens, long width, long inner) => (tokens * width * inner) + (tokens * inner);

    /// <summary>A plain ViT with a class token.</summary>
    /// <param name="tower">Sizes.</param>
    /// <param name="outputs">Channels of the result.</param>
    /// <param name="counting">Whether attention counts.</param>
    public static long VisionTransformer(PooledTowerSize tower, long outputs, MacsCounting counting)
    {
        var (width, tokens) = (tower.Width, tower.Patches + 1);
        var attention = counting == MacsCounting.Complete ? (4 * tokens * width * width) + (2 * tokens * tokens * width) : 0;
        return tower.Embedding + (10 * tokens * width) + (width * outputs)
            + (tower.Layers * ((10 * tokens * width) + (2 * tokens * width * tower.Inner) + attention));
    }

    /// <summary>A tower that pools its patches between two stacks of layers with relative attention.</summary>
    /// <param name="tower">Sizes; the layers are those of both stacks.</param>
    /// <param name="before">Layers before pooling.</param>
    /// <param name="rate">Share of the patches that are boundaries.</param>
    /// <param name="hasNullRow">Whether a null row stands before the pooled ones.</param>
    /// <param name="outputs">Channels of the result.</param>
    /// <param name="counting">Whether the predictor counts.</param>
    public static long PooledTower(PooledTowerSize tower, long before, double rate, bool hasNullRow, long outputs, MacsCounting counting)
    {
        var (width, patches, rows) = (tower.Width, tower.Patches, Rows(tower.Patches, rate));
        return tower.Embedding + (before * RelativeLayer(patches, width, tower.Inner)) + (5 * patches * width) + (patches * rows * width)
            + ((tower.Layers - before) * RelativeLayer(rows + (hasNullRow ? 1 : 0), width, tower.Inner)) + (width * outputs)
            + (counting == MacsCounting.Complete ? Predictor(patches, width, tower.Inner) : 0);
    }

    /// <summary>A tower that pools its patches behind a class token between pre-norm blocks; the predictor is not counted.</summary>
    /// <param name="tower">Sizes; the layers are those of both stacks.</param>
    /// <param name="before">Blocks before pooling.</param>
    /// <param name="rows">Pooled rows K, see <see cref="Rows"/> and <see cref="IntervalRows"/>.</param>
    /// <param name="outputs">Channels of the result.</param>
    public static long PooledClassTower(PooledTowerSize tower, long before, long rows, long outputs)
    {
        var width = tower.Width;
        long Block(long tokens) => (4 * tokens * width * width) + (2 * tokens * tokens * width) + (2 * tokens * width * tower.Inner) + (20 * tokens * width);
        return tower.Embedding + (before * Block(tower.Patches + 1)) + (tower.Patches * rows * width) + (10 * (rows + 1) * width)
            + ((tower.Layers - before) * Block(rows + 1)) + (width * outputs);
    }

    /// <summary>Rows at a rate, one at least: max(1, floor(n rate)).</summary>
    public static long Rows(long patches, double rate) => Math.Max(1, (long)Math.Floor(patches * rate));

    /// <summary>Rows when every floor(1 / rate)-th patch is a boundary, from the first one on.</summary>
    public static long IntervalRows(long patches, double rate)
    {
        var step = (long)Math.Floor(1 / rate);
        return (patches + step - 1) / step;
    }

    /// <summary>
    /// The language model on a chunk. Pooling itself adds, gathers and multiplies nothing.
    /// </summary>
    /// <param name="config">The architecture.</param>
    /// <param name="length">Characters T.</param>
    /// <param name="rate">Share of the characters that are boundaries; 1 where nothing is pooled.</param>
    /// <param name="counting">Whether the predictor counts.</param>
    public static long LanguageModel(DynamicPoolingConfig config, long length, double rate, MacsCounting counting = MacsCounting.Complete)
    {
        long Layer(long tokens) => RelativeLayer(tokens, config.Width, config.Inner);
        var output = length * config.Width * config.Vocabulary;
        if (!config.Type.Pools)
        {
            return (config.LayersBefore * Layer(length)) + output;
        }

        var rows = Rows(length, rate) + 1;
        return ((config.LayersBefore + config.LayersAfter) * Layer(length)) + (config.LayersPooled * Layer(rows)) + (5 * rows * config.Width) + output
            + (counting == MacsCounting.Complete && config.Type.Learn is not null ? Predictor(length, config.Width, config.Inner) : 0);
    }
}

/// <summary>Sizes of an image tower.</summary>
/// <param name="PatchSize">Side of a patch in pixels.</param>
/// <param name="ImageSize">Side of an image in pixels.</param>
/// <param name="Width">Channels D.</param>
/// <param name="Layers">Layers.</param>
/// <param name="Inner">Channels of the MLPs D'.</param>
public sealed record PooledTowerSize(long PatchSize, long ImageSize = 224, long Width = 768, long Layers = 12, long Inner = 3072)
{
    /// <summary>Patches of an image.</summary>
    public long Patches => (ImageSize / PatchSize) * (ImageSize / PatchSize);

    /// <summary>The patch embedding.</summary>
    public long Embedding => Patches * 3 * PatchSize * PatchSize * Width;
}
