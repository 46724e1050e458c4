using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Registers;

/// <summary>
/// Stage 3: finds the tokens with the largest entries at each candidate block of the float model. One pass over the
/// images serves all blocks (regcache.md, section 6).
/// </summary>
public static class CandidateExtraction
{
    /// <summary>The candidate blocks of stage 2: <c>max(0, k-3) .. k</c>.</summary>
    public static ValueList<int> Blocks(int sensitiveBlock)
    {
        var first = Math.Max(0, sensitiveBlock - 3);
        return [.. Enumerable.Range(first, sensitiveBlock - first + 1)];
    }

    /// <summary>Runs the pass.</summary>
    /// <param name="tower">The float encoder.</param>
    /// <param name="images">The search set.</param>
    /// <param name="blocks">The candidate blocks.</param>
    /// <param name="count">How many tokens to keep for each block.</param>
    /// <param name="tensor">The activation that is scored.</param>
    /// <param name="run">Batch size and progress.</param>
    /// <returns>For each block its tokens, best first.</returns>
    public static IReadOnlyDictionary<int, ValueList<OutlierToken>> Run(
        VisionTower tower, IImageSource images, ValueList<int> blocks, int count, ScoreTensor tensor, EvaluationRun run)
    {
        var rankings = blocks.ToDictionary(block => block, _ => new OutlierRanking(count));
        var kind = tensor == ScoreTensor.BlockInput ? ActivationKind.BlockInput : ActivationKind.MlpHidden;
        using var noGradient = torch.no_grad();
        using var progress = run.Progress.Start(run.Title, images.Count, "images");
        foreach (var batch in images.ReadBatches(run.BatchSize, 0, run.Cancellation))
        {
            using var scope = torch.NewDisposeScope();
            using var owned = batch;
            var probe = new ScoreProbe(rankings, kind, batch.Indices);
            var (device, type) = tower.Placement;
            // The last wanted activation lies inside the last candidate block, or is its input.
            tower.Forward(batch.Images.to(type, device), blocks.Max() + 1, probe);
            progress.Report(batch.End);
        }

        return rankings.ToDictionary(pair => pair.Key, pair => pair.Value.Best);
    }

    private sealed class ScoreProbe(
        Dictionary<int, OutlierRanking> rankings, ActivationKind kind, IReadOnlyList<int> indices) : IActivationProbe
    {
        public bool Wants(int block, ActivationKind candidate) => candidate == kind && rankings.ContainsKey(block);

        public void Observe(int block, ActivationKind _, Tensor value)
        {
            using var scores = OutlierScore.Of(value);
            var (images, length) = ((int)scores.shape[0], (int)scores.shape[1]);
            var values = scores.cpu().data<float>().ToArray();
            // Position 0 is the class token, which carries the output feature and is never a register.
            rankings[block].AddAll(
                from image in Enumerable.Range(0, images)
                from token in Enumerable.Range(1, length - 1)
                select new OutlierToken(values[(image * length) + token], indices[image], token));
        }
    }
}
