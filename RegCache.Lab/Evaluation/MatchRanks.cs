namespace RegCache.Lab.Evaluation;

/// <summary>
/// Ranks of the right answers among all (clip.md, section 14): query i belongs to target i, and its rank, from 0, is the number of
/// targets with a strictly larger similarity.
/// </summary>
internal sealed class MatchRanks
{
    private const int Chunk = 1024;
    private readonly List<long> _ascending;

    /// <summary>Ranks queries [N,E] among targets [N,E], both normalised. The similarities are made in chunks of rows.</summary>
    public MatchRanks(Tensor queries, Tensor targets)
    {
        var count = (int)queries.shape[0];
        _ascending = new(count);
        for (var first = 0; first < count; first += Chunk)
        {
            using var scope = torch.NewDisposeScope();
            var rows = Math.Min(Chunk, count - first);
            var scores = queries.narrow(0, first, rows).matmul(targets.t());
            var own = scores.diagonal(first).narrow(0, 0, rows).unsqueeze(1);
            _ascending.AddRange((scores > own).to(torch.ScalarType.Int64).sum(1).cpu().data<long>().ToArray());
        }

        _ascending.Sort();
    }

    /// <summary>Mean rank, from 1.</summary>
    public double Mean => _ascending.Average() + 1;

    /// <summary>Median rank, from 1, rounded down.</summary>
    public double Median
    {
        get
        {
            var (half, odd) = Math.DivRem(_ascending.Count, 2);
            return Math.Floor(odd == 1 ? _ascending[half] : (_ascending[half - 1] + _ascending[half]) / 2.0) + 1;
        }
    }

    /// <summary>Share of queries whose target is among the best.</summary>
    public double RecallAt(int depth) => _ascending.Count(rank => rank < depth) / (double)_ascending.Count;
}
