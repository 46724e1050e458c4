using RegCache.Lab.Encoders;
using RegCache.Lab.Pooling.Towers;

namespace RegCache.Lab.Pooling;

/// <summary>
/// Where the first pooling of an image tower sees boundaries, patch by patch, without noise (docs/methods/pooled-towers.md, "Pictures").
/// </summary>
/// <param name="Soft">How likely a boundary is at every patch, in raster order, 0..1; evenly spread boundaries are 0 or 1.</param>
/// <param name="Hard">Where boundaries are, the forced one included, in raster order.</param>
/// <param name="Order">The patches in the order of runs, as raster indices.</param>
/// <param name="Columns">Columns of the patch grid.</param>
/// <param name="Runs">Runs that are left.</param>
public sealed record BoundaryMaps(IReadOnlyList<float> Soft, IReadOnlyList<bool> Hard, IReadOnlyList<long> Order, int Columns, int Runs)
{
    /// <summary>Looks at images.</summary>
    /// <param name="tower">The tower.</param>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="plan">A plan that pools, for towers that do not; null: the tower as it is.</param>
    /// <returns>One for each image.</returns>
    /// <exception cref="UserException">Neither the tower nor the plan pools, or the images are not of its size.</exception>
    public static IReadOnlyList<BoundaryMaps> Of(IImageTower tower, Tensor images, EncoderPlan? plan = null)
    {
        ArgumentNullException.ThrowIfNull(tower);
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var (height, width) = tower.Config.Grid;
        if (tower is DripTower drip)
        {
            IReadOnlyList<BoundaryMaps>? maps = null;
            var order = PatchOrders.Of(tower.Config.Pooling!.Order, height, width);
            using var run = drip.Run(pooled: (index, pooling) => maps ??= Read(pooling, order, width));
            var tokens = images;
            foreach (var segment in run.Segments)
            {
                tokens = segment(tokens);
            }

            return maps ?? throw PoolsNothing();
        }

        var blocks = tower.RequireBlocks();
        var stream = blocks.Embed(images);
        for (var block = 0; block < blocks.Blocks.Count; block++)
        {
            ITokenStage[] stages = [.. blocks.Blocks[block].Before, .. plan?.Blocks[block].Before ?? []];
            var first = Array.FindIndex(stages, stage => stage is PoolRuns);
            var context = new StageContext(block);
            if (first >= 0)
            {
                stream = stages[..first].Aggregate(stream, (batch, stage) => stage.Apply(batch, context));
                if (stream.Length - stream.Layout.ProtectedTokens != height * width)
                {
                    throw new UserException($"Tokens were removed before patches are pooled in block {block}, so that boundaries are at no patches; leave that out for a picture.");
                }

                var stage = (PoolRuns)stages[first];
                return Read(stage.Pool(stream, training: false).Pooling, PatchOrders.Of(stage.Order, height, width), width);
            }

            stream = TransformerBlock.Forward(stream, block, blocks.Running[block], plan?.Blocks[block] ?? BlockPlan.Plain);
        }

        throw PoolsNothing();
    }

    private static UserException PoolsNothing() => new(
        $"The model pools no patches, so there are no boundaries to draw: give a model that does, or a rule for this one (--pool {string.Join('|', PoolRuns.Untrained)}).");

    private static BoundaryMaps[] Read(PooledTokens pooling, long[] order, int columns)
    {
        var (hard, length) = (pooling.Segments.Boundaries, order.Length);
        var probabilities = pooling.Scores!.Probabilities;

        // Boundaries that no predictor finds are as sure as they can be.
        var soft = (probabilities.max().item<float>() > 0 ? probabilities : hard).to(torch.ScalarType.Float32).cpu().contiguous().data<float>().ToArray();
        var marks = hard.to(torch.ScalarType.Float32).cpu().contiguous().data<float>().ToArray();
        return
        [
            .. Enumerable.Range(0, (int)hard.shape[0]).Select(image =>
            {
                var (inRaster, isBoundary) = (new float[length], new bool[length]);
                foreach (var (place, patch) in order.Index())
                {
                    (inRaster[patch], isBoundary[patch]) = (soft[(image * length) + place], marks[(image * length) + place] > 0);
                }

                return new BoundaryMaps(inRaster, isBoundary, order, columns, isBoundary.Count(mark => mark));
            }),
        ];
    }
}
