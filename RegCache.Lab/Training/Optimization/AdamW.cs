namespace RegCache.Lab.Training.Optimization;

/// <summary>
/// Adam with decoupled weight decay (clip.md, section 13.2): <c>p -= lr wd p</c>, then
/// <c>p -= lr m_hat / (sqrt(v_hat) + eps)</c> with bias-corrected moments. On the CPU one pass over memory does all of it, on
/// all cores; elsewhere tensor operations do, without waiting for the device.
/// </summary>
public sealed class AdamW : IDisposable
{
    private readonly AdamWOptions _options;
    private readonly Slot[] _slots;

    /// <summary>Starts with zero moments.</summary>
    public AdamW(IReadOnlyList<ParameterGroup> groups, AdamWOptions options)
    {
        _options = options;
        using var noGradient = torch.no_grad();
        _slots =
        [
            .. groups.SelectMany(group => group.Parameters.Select(parameter => new Slot(
                parameter,
                group.WeightDecay,
                torch.zeros_like(parameter.Value).DetachFromDisposeScope(),
                torch.zeros_like(parameter.Value).DetachFromDisposeScope()))),
        ];
    }

    /// <summary>Number of steps taken.</summary>
    public long Steps { get; private set; }

    /// <summary>
    /// The moments under the names that checkpoints use: <c>exp_avg.</c> and <c>exp_avg_sq.</c> before the parameter's name.
    /// </summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State => _slots.SelectMany(slot => new KeyValuePair<string, Tensor>[]
    {
        new($"exp_avg.{slot.Parameter.Name}", slot.First),
        new($"exp_avg_sq.{slot.Parameter.Name}", slot.Second),
    });

    /// <summary>Continues from stored moments; fill those of <see cref="State"/> first.</summary>
    /// <param name="steps">Steps taken when they were stored.</param>
    public void Resume(long steps) => Steps = steps;

    /// <summary>Forgets all gradients.</summary>
    public void ZeroGradients()
    {
        foreach (var slot in _slots)
        {
            slot.Parameter.Value.grad = null;
        }
    }

    /// <summary>The L2 norm of all gradients together, a tensor [] on their device.</summary>
    public Tensor GradientNorm()
    {
        using var scope = torch.NewDisposeScope();
        var gradients = Updates().Select(update => update.Gradient).ToArray();
        if (gradients.All(AdamWKernel.IsDirect))
        {
            return torch.tensor(Math.Sqrt(AdamWKernel.SquaredNorm(gradients))).MoveToOuterDisposeScope();
        }

        using var noGradient = torch.no_grad();
        var squares = gradients.Select(gradient => gradient.to(torch.ScalarType.Float32).square().sum());
        return torch.stack([.. squares]).sum().sqrt().MoveToOuterDisposeScope();
    }

    /// <summary>Changes every parameter that has a gradient.</summary>
    /// <param name="learningRate">The learning rate of this step.</param>
    /// <param name="gradientNorm">What <see cref="GradientNorm"/> gave, to clip by; null clips nothing.</param>
    /// <param name="maxGradientNorm">Gradients are scaled by <c>min(1, max / (norm + 1e-6))</c>.</param>
    public void Step(double learningRate, Tensor? gradientNorm = null, double maxGradientNorm = double.PositiveInfinity)
    {
        Steps++;
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var isClipped = gradientNorm is not null && double.IsFinite(maxGradientNorm);
        var rule = new AdamWRule(_options, learningRate, Steps);
        var updates = Updates();
        if (updates.TrueForAll(update => update.IsDirect))
        {
            var factor = isClipped ? Math.Min(1, maxGradientNorm / (gradientNorm!.ToDouble() + 1e-6)) : 1;
            AdamWKernel.Apply(updates, rule, (float)factor);
            return;
        }

        var scale = isClipped ? (maxGradientNorm / (gradientNorm! + 1e-6)).clamp_max(1) : null;
        updates.ForEach(update => rule.Apply(update, scale));
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var slot in _slots)
        {
            slot.First.Dispose();
            slot.Second.Dispose();
        }
    }

    private List<ParameterUpdate> Updates()
    {
        var updates = new List<ParameterUpdate>(_slots.Length);
        foreach (var slot in _slots)
        {
            if (slot.Parameter.Value.grad is { } gradient)
            {
                updates.Add(new(slot.Parameter.Value, gradient, slot.First, slot.Second, slot.WeightDecay));
            }
        }

        return updates;
    }

    private sealed record Slot(NamedParameter Parameter, double WeightDecay, Tensor First, Tensor Second);
}
