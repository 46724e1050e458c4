using RegCache.Lab.Encoders;

namespace RegCache.Lab.Registers;

/// <summary>Keeps the best tokens of a stream, in the order of <see cref="OutlierToken.BestFirst"/>.</summary>
internal sealed class OutlierRanking
{
    private readonly PriorityQueue<OutlierToken, OutlierToken> _kept =
        new(Comparer<OutlierToken>.Create((a, b) => OutlierToken.BestFirst.Compare(b, a)));

    private readonly int _capacity;

    public OutlierRanking(int capacity) => _capacity = capacity;

    /// <summary>The kept tokens, best first.</summary>
    public ValueList<OutlierToken> Best => [.. _kept.UnorderedItems.Select(item => item.Element).Order(OutlierToken.BestFirst)];

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
