using RegCache.Lab.Data;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Registers;

/// <summary>
/// Stage 3: finds the tokens with the largest entries at each candidate block of the float model. One pass over the
/// images serves all blocks.
/// </summary>
public static class CandidateExtraction
{
    /// <summary>Stage 2, the candidate blocks: <c>max(0, k-3) .. k</c>.</summary>
    /// <param name="sensitiveBlock">The quantization-sensitive block k.</param>
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
        foreach (var batch in images.ReadShare(run.Processes, run.BatchSize, 0, run.Cancellation).OfType<ImageBatch>())
        {
            using var scope = torch.NewDisposeScope();
            using var owned = batch;
            var probe = new ScoreProbe(rankings, kind, batch.Indices, tower);
            var (device, type) = tower.Placement;
            // The last wanted activation lies inside the last candidate block, or is its input.
            tower.Forward(batch.Images.to(type, device), blocks.Max() + 1, probe);
            progress.Report(batch.End);
        }

        return rankings.ToDictionary(pair => pair.Key, pair => pair.Value.Together(run.Processes));
    }

    private sealed class ScoreProbe(
        Dictionary<int, OutlierRanking> rankings, ActivationKind kind, IReadOnlyList<int> indices, VisionTower tower) : IActivationProbe
    {
        public bool Wants(int block, ActivationKind candidate) => candidate == kind && rankings.ContainsKey(block);

        public void Observe(int block, ActivationKind _, Tensor value)
        {
            using var scores = OutlierScore.Of(value);
            var (images, length) = ((int)scores.shape[0], (int)scores.shape[1]);
            var values = scores.cpu().data<float>().ToArray();
            // A class token carries the output feature and is never a register.
            var first = tower.LayoutIn(block).ClassTokens;
            rankings[block].AddAll(
                from image in Enumerable.Range(0, images)
                from token in Enumerable.Range(first, length - first)
                select new OutlierToken(values[(image * length) + token], indices[image], token));
        }
    }
}

/// <summary>A register candidate: one token of one image.</summary>
/// <param name="Score">Its largest magnitude.</param>
/// <param name="Image">Index of the image in the set.</param>
/// <param name="Token">Position in the sequence; 0 is the class token.</param>
public readonly record struct OutlierToken(float Score, int Image, int Token)
{
    /// <summary>Orders by score descending, then image, then token.</summary>
    public static IComparer<OutlierToken> BestFirst { get; } = Comparer<OutlierToken>.Create(
        (a, b) => (-a.Score, a.Image, a.Token).CompareTo((-b.Score, b.Image, b.Token)));
}

/// <summary>Keeps the best tokens of a stream, in the order of <see cref="OutlierToken.BestFirst"/>.</summary>
internal sealed class OutlierRanking
{
    private readonly PriorityQueue<OutlierToken, OutlierToken> _kept =
        new(Comparer<OutlierToken>.Create((a, b) => OutlierToken.BestFirst.Compare(b, a)));

    private readonly int _capacity;

    public OutlierRanking(int capacity) => _capacity = capacity;

    /// <summary>The kept tokens, best first.</summary>
    public ValueList<OutlierToken> Best => [.. _kept.UnorderedItems.Select(item => item.Element).Order(OutlierToken.BestFirst)];

    /// <summary>The best ones of all processes.</summary>
    public ValueList<OutlierToken> Together(IProcessGroup processes)
    {
        if (processes.Size == 1)
        {
            return Best;
        }

        using var scope = torch.NewDisposeScope();
        var own = Best;
        var all = processes.Gather(torch.tensor(own.SelectMany(token => new double[] { token.Score, token.Image, token.Token }).ToArray(), [own.Count, 3]));
        var ranking = new OutlierRanking(_capacity);
        ranking.AddAll(all.data<double>().ToArray().Chunk(3).Select(token => new OutlierToken((float)token[0], (int)token[1], (int)token[2])));
        return ranking.Best;
    }

    public void Add(OutlierToken token)
    {
        if (_kept.Count < _capacity)
        {
            _kept.Enqueue(token, token);
        }
        else if (OutlierToken.BestFirst.Compare(token, _kept.Peek()) < 0)
        {
            _kept.DequeueEnqueue(token, token);
        }
    }

    public void AddAll(IEnumerable<OutlierToken> tokens)
    {
        foreach (var token in tokens)
        {
            Add(token);
        }
    }
}

/// <summary>
/// Removes, in every image, the tokens with the largest entry: <c>s[n] = max_c |h[n,c]|</c>. Class and register tokens
/// stay; of equal scores the token with the smaller index goes first; the others keep their order.
/// </summary>
/// <param name="Count">Number of tokens to remove from each image.</param>
public sealed record DeleteOutliers(int Count) : ITokenStage
{
    /// <inheritdoc />
    /// <exception cref="UserException">Fewer tokens than <see cref="Count"/> may be removed.</exception>
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        if (Count == 0)
        {
            return batch;
        }

        var first = batch.Layout.ProtectedTokens;
        var candidates = batch.Length - first;
        if (Count > candidates)
        {
            throw new UserException(
                $"Cannot delete {Count} tokens before block {context.Block}: an image has only {candidates} patch tokens there; lower the delete count.");
        }

        return TensorScope.Run(() =>
        {
            var scores = OutlierScore.OfFree(batch);
            var (_, order) = scores.sort(dim: 1, descending: true, stable: true);
            var (kept, _) = order.narrow(1, Count, candidates - Count).sort(dim: 1);
            var leading = torch.arange(first, dtype: torch.ScalarType.Int64, device: kept.device).unsqueeze(0);
            return batch.Select(torch.cat([leading.expand(batch.Images, -1), kept + first], 1));
        });
    }
}
