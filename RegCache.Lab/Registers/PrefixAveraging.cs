using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Registers;

/// <summary>
/// Stage 4: follows the kept tokens through the float model and averages their keys and values in every later block.
/// Keys and values are affine in the normalised row, so the rows are averaged, in float64, and projected once.
/// </summary>
public static class PrefixAveraging
{
    /// <summary>Averages the tokens of every candidate block in one pass over the images that own one.</summary>
    /// <param name="tower">The float encoder.</param>
    /// <param name="images">The search set.</param>
    /// <param name="candidates">For each extraction block its tokens.</param>
    /// <param name="run">Batch size and progress.</param>
    public static IReadOnlyDictionary<int, PrefixCache> Run(
        VisionTower tower,
        IImageSource images,
        IReadOnlyDictionary<int, ValueList<OutlierToken>> candidates,
        EvaluationRun run)
    {
        var owners = candidates.Values.SelectMany(tokens => tokens).Select(token => token.Image).Distinct().Order().ToArray();
        var sums = new RowSums(candidates, tower);
        using var noGradient = torch.no_grad();
        using var progress = run.Progress.Start(run.Title, owners.Length, "images");
        var done = 0;
        foreach (var indices in owners.Chunk(run.BatchSize))
        {
            run.Cancellation.ThrowIfCancellationRequested();
            using var scope = torch.NewDisposeScope();
            sums.Images = indices;
            var (device, type) = tower.Placement;
            tower.Forward(images.Read(indices).to(type, device), tower.Blocks.Count, sums);
            progress.Report(done += indices.Length);
        }

        return candidates.Keys.ToDictionary(block => block, block => sums.Average(block, candidates[block]));
    }

    private sealed class RowSums(
        IReadOnlyDictionary<int, ValueList<OutlierToken>> candidates, VisionTower tower) : IActivationProbe
    {
        private readonly Dictionary<(int Extraction, int Block, ActivationKind Kind), double[]> _sums = [];

        public int[] Images { get; set; } = [];

        public bool Wants(int block, ActivationKind kind) =>
            kind is ActivationKind.BlockInput or ActivationKind.AttentionNorm && candidates.Keys.Any(t => t <= block);

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            foreach (var (extraction, tokens) in candidates.Where(pair => pair.Key <= block))
            {
                // Tokens that entered in between stand in front.
                var moved = tower.LayoutIn(block).ProtectedTokens - tower.LayoutIn(extraction).ProtectedTokens;
                var places = tokens
                    .Select(token => (Row: Position(token.Image), Token: token.Token + moved))
                    .Where(place => place.Row >= 0)
                    .ToArray();
                if (places.Length == 0)
                {
                    continue;
                }

                using var scope = torch.NewDisposeScope();
                var flat = torch.tensor([.. places.Select(place => (place.Row * value.shape[1]) + place.Token)], device: value.device);
                var sum = value.flatten(0, 1).index_select(0, flat).to(torch.ScalarType.Float64).sum([0]).cpu();
                Accumulate((extraction, block, kind), sum.data<double>().ToArray());
            }
        }

        public PrefixCache Average(int extraction, ValueList<OutlierToken> tokens) => TensorScope.Run(() =>
        {
            var keys = new List<Tensor>();
            var values = new List<Tensor>();
            var hidden = new List<Tensor>();
            for (var block = extraction; block < tower.Blocks.Count; block++)
            {
                Tensor Mean(ActivationKind kind) => torch.tensor(_sums[(extraction, block, kind)]) / tokens.Count;
                var projection = tower.Blocks[block].AttentionIn;
                var weight = projection.Weight.cpu().to(torch.ScalarType.Float64);
                var projected = weight.mv(Mean(ActivationKind.AttentionNorm));
                projected = projection.Bias is { } bias ? projected + bias.cpu() : projected;
                var parts = projected.chunk(3);
                keys.Add(parts[1]);
                values.Add(parts[2]);
                hidden.Add(Mean(ActivationKind.BlockInput));
            }

            static Tensor Rows(List<Tensor> rows) => torch.stack(rows).to(torch.ScalarType.Float32).contiguous();
            return new PrefixCache(extraction, tokens, Rows(keys), Rows(values), Rows(hidden));
        });

        private int Position(int image) => Array.BinarySearch(Images, image);

        private void Accumulate((int, int, ActivationKind) key, double[] row)
        {
            if (!_sums.TryGetValue(key, out var sum))
            {
                _sums[key] = row;
                return;
            }

            for (var channel = 0; channel < sum.Length; channel++)
            {
                sum[channel] += row[channel];
            }
        }
    }
}
