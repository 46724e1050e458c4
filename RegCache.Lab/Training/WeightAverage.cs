using RegCache.Lab.Encoders;

namespace RegCache.Lab.Training;

/// <summary>
/// The exponential moving average of a model's weights: <c>a = decay a + (1 - decay) w</c> after every step. Evaluations and the
/// finished model use it in the weights' place, by <see cref="Swap"/>.
/// </summary>
public sealed class WeightAverage : IDisposable
{
    private readonly WeightTable _weights;
    private readonly double _decay;
    private readonly Dictionary<string, Tensor> _averages;

    /// <summary>Starts at the weights as they are.</summary>
    /// <param name="weights">The weights; the caller keeps them.</param>
    /// <param name="decay">The share that an average keeps in a step, from 0 to 1.</param>
    public WeightAverage(WeightTable weights, double decay)
    {
        (_weights, _decay) = (weights, decay);
        using var noGradient = torch.no_grad();
        _averages = weights.Parameters.ToDictionary(pair => pair.Key, pair => pair.Value.detach().clone().DetachFromDisposeScope());
    }

    /// <summary>The averages under the names that checkpoints use, <c>average.</c> before the tensor's.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        _weights.Parameters.Select(pair => KeyValuePair.Create($"average.{pair.Key}", _averages[pair.Key]));

    /// <summary>Takes in the weights of a step.</summary>
    public void Update()
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        foreach (var (name, average) in _averages)
        {
            // Counts, such as those of BatchNorm's batches, have no average.
            _ = average.is_floating_point() ? average.mul_(_decay).add_(_weights[name].detach(), 1 - _decay) : average.copy_(_weights[name]);
        }
    }

    /// <summary>Exchanges weights and averages; a second call undoes it.</summary>
    public void Swap()
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        foreach (var (name, average) in _averages)
        {
            var kept = average.clone();
            average.copy_(_weights[name]);
            _weights[name].copy_(kept);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var average in _averages.Values)
        {
            average.Dispose();
        }
    }
}
