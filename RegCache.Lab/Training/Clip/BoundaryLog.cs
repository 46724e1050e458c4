using RegCache.Lab.Pooling;

namespace RegCache.Lab.Training.Clip;

/// <summary>What the poolings of a step report, over its micro-batches: their losses, and the share of tokens that they leave.</summary>
internal sealed class BoundaryLog
{
    private readonly OrderedDictionary<string, Tensor> _values = [];

    /// <summary>Loss and rate by name, as logs call them; empty where nothing is pooled.</summary>
    public IReadOnlyDictionary<string, Tensor> Values => _values;

    /// <summary>The sum of the losses, [], in the current dispose scope; null where nothing is pooled.</summary>
    public Tensor? Loss => _values.Count == 0
        ? null
        : TensorScope.Run(() => _values.Where(pair => pair.Key.EndsWith("loss", StringComparison.Ordinal)).Select(pair => pair.Value).Aggregate((sum, loss) => sum + loss));

    /// <summary>Adds what a tower's pass reports.</summary>
    /// <param name="tower">Begins the names: nothing for images, "text_" for texts.</param>
    /// <param name="pass">The pass; null reports nothing.</param>
    /// <param name="share">Its share of the step.</param>
    public void Add(string tower, PoolingPass? pass, double share)
    {
        void Sum(string name, Tensor? value)
        {
            if (value is not null)
            {
                var sum = TensorScope.Run(() => _values.TryGetValue(name, out var earlier) ? earlier + (value * share) : value * share);
                _values.GetValueOrDefault(name)?.Dispose();
                _values[name] = TensorScope.Keep(sum);
            }
        }

        using var scope = torch.NewDisposeScope();
        Sum($"train/{tower}boundary_loss", pass?.Loss);
        Sum($"train/{tower}boundary_rate", pass?.Rate);
    }

    /// <summary>Forgets everything, for the next step.</summary>
    public void Clear()
    {
        foreach (var value in _values.Values)
        {
            value.Dispose();
        }

        _values.Clear();
    }
}
