using RegCache.Lab.Encoders;

namespace RegCache.Lab.Training;

/// <summary>The constants of AdamW.</summary>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
public sealed record AdamWOptions(double Beta1 = 0.9, double Beta2 = 0.98, double Epsilon = 1e-6);

/// <summary>
/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2): <c>p -= lr wd p</c>, then
/// <c>p -= lr m_hat / (sqrt(v_hat) + eps)</c> with bias-corrected moments. On the CPU <see cref="AdamWKernel"/> does all of it in one
/// pass over memory, on all cores; elsewhere <see cref="AdamWRule.Apply"/> does it by tensor operations, without waiting for
/// the device.
/// </summary>
public sealed class AdamW : IDisposable
{
    private readonly AdamWOptions _options;
    private readonly Slot[] _slots;

    /// <summary>Starts with zero moments.</summary>
    /// <param name="groups">What is trained, see <see cref="ParameterGroups"/>.</param>
    /// <param name="options">The constants.</param>
    public AdamW(IReadOnlyList<ParameterGroup> groups, AdamWOptions options)
    {
        _options = options;
        using var noGradient = torch.no_grad();
        _slots =
        [
            .. groups.SelectMany(group => group.Parameters.Select(parameter => new Slot(
                parameter,
                group,
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
    public Tensor GradientNorm() => TensorScope.Run(() =>
    {
        var gradients = Updates().Select(update => update.Gradient).ToArray();
        if (gradients.All(AdamWKernel.IsDirect))
        {
            return torch.tensor(Math.Sqrt(AdamWKernel.SquaredNorm(gradients)));
        }

        using var noGradient = torch.no_grad();
        var squares = gradients.Select(gradient => gradient.to(torch.ScalarType.Float32).square().sum());
        return torch.stack([.. squares]).sum().sqrt();
    });

    /// <summary>Changes every parameter that has a gradient.</summary>
    /// <param name="learningRate">The learning rate of this step, for the groups without one of their own.</param>
    /// <param name="gradientNorm">What <see cref="GradientNorm"/> gave, to clip by; null clips nothing.</param>
    /// <param name="maxGradientNorm">Gradients are scaled by <c>min(1, max / (norm + 1e-6))</c>.</param>
    public void Step(double learningRate, Tensor? gradientNorm = null, double maxGradientNorm = double.PositiveInfinity)
    {
        Steps++;
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var isClipped = gradientNorm is not null && double.IsFinite(maxGradientNorm);
        foreach (var updates in Updates().GroupBy(update => update.Group.FixedLearningRate ?? learningRate))
        {
            var rule = new AdamWRule(_options, updates.Key, Steps);
            var group = updates.ToList();
            if (group.TrueForAll(update => update.IsDirect))
            {
                var factor = isClipped ? Math.Min(1, maxGradientNorm / (gradientNorm!.ToDouble() + 1e-6)) : 1;
                AdamWKernel.Apply(group, rule, (float)factor);
                continue;
            }

            var scale = isClipped ? (maxGradientNorm / (gradientNorm! + 1e-6)).clamp_max(1) : null;
            group.ForEach(update => rule.Apply(update, scale));
        }
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
        foreach (var (parameter, group, first, second) in _slots)
        {
            if (parameter.Value.grad is { } gradient)
            {
                updates.Add(new(parameter.Value, gradient, first, second, group));
            }
        }

        return updates;
    }

    private sealed record Slot(NamedParameter Parameter, ParameterGroup Group, Tensor First, Tensor Second);
}

/// <summary>The numbers of one AdamW step.</summary>
internal readonly struct AdamWRule(AdamWOptions options, double learningRate, long step)
{
    public double Beta1 { get; } = options.Beta1;

    public double Beta2 { get; } = options.Beta2;

    public double Epsilon { get; } = options.Epsilon;

    public double LearningRate { get; } = learningRate;

    /// <summary>The learning rate over the first moment's bias correction.</summary>
    public double StepSize { get; } = learningRate / (1 - Math.Pow(options.Beta1, step));

    /// <summary>Square root of the second moment's bias correction.</summary>
    public double RootCorrection { get; } = Math.Sqrt(1 - Math.Pow(options.Beta2, step));

    /// <summary>Does the step by tensor operations, which any device runs without waiting.</summary>
    /// <param name="update">The parameter.</param>
    /// <param name="scale">Multiplied into the gradient, []; null for one.</param>
    public void Apply(ParameterUpdate update, Tensor? scale)
    {
        using var scope = torch.NewDisposeScope();
        var gradient = scale is null ? update.Gradient : update.Gradient * scale.to(update.Gradient.dtype);
        if (update.WeightDecay != 0)
        {
            update.Value.mul_(1 - (LearningRate * update.WeightDecay));
        }

        update.First.mul_(Beta1).add_(gradient, 1 - Beta1);
        update.Second.mul_(Beta2).addcmul_(gradient, gradient, 1 - Beta2);
        var denominator = update.Second.sqrt().div_(RootCorrection).add_(Epsilon);
        update.Value.addcdiv_(update.First, denominator, -StepSize);
    }
}

/// <summary>What one parameter's step works on.</summary>
/// <param name="Value">The parameter.</param>
/// <param name="Gradient">Its gradient.</param>
/// <param name="First">First moment.</param>
/// <param name="Second">Second moment.</param>
/// <param name="Group">The group with its weight decay.</param>
internal sealed record ParameterUpdate(Tensor Value, Tensor Gradient, Tensor First, Tensor Second, ParameterGroup Group)
{
    /// <summary>Its weight decay.</summary>
    public double WeightDecay => Group.WeightDecay;

    /// <summary>Whether plain loops over memory can do the step.</summary>
    public bool IsDirect =>
        AdamWKernel.IsDirect(Value) && AdamWKernel.IsDirect(Gradient) && AdamWKernel.IsDirect(First) && AdamWKernel.IsDirect(Second);
}

/// <summary>Sorts parameters into those with weight decay and those without, as OpenCLIP does (docs/methods/clip.md, "Optimizer").</summary>
public static class ParameterGroups
{
    private static readonly string[] _exempt = ["bn", "ln", "bias", "logit_scale"];

    /// <summary>
    /// Whether a parameter is decayed: it has two or more dimensions and its name contains none of <c>bn</c>, <c>ln</c>,
    /// <c>bias</c> and <c>logit_scale</c>.
    /// </summary>
    public static bool IsDecayed(string name, int dimensions) =>
        dimensions >= 2 && !_exempt.Any(part => name.Contains(part, StringComparison.Ordinal));

    /// <summary>
    /// The groups of a model, without decay first; those with a learning rate of their own are apart. Only tensors that require gradients
    /// are in them, a shared one once.
    /// </summary>
    /// <param name="weights">The model's tensors.</param>
    /// <param name="weightDecay">Decay of those that are decayed.</param>
    /// <param name="fixedRate">The constant learning rate of a parameter by its name, or null; null: no parameter has one.</param>
    public static IReadOnlyList<ParameterGroup> Of(WeightTable weights, double weightDecay, Func<string, double?>? fixedRate = null)
    {
        var trained = weights.Parameters
            .Select(pair => new NamedParameter(pair.Key, pair.Value))
            .Where(parameter => parameter.Value.requires_grad)
            .ToLookup(parameter => (IsDecayed(parameter.Name, (int)parameter.Value.Dimensions), fixedRate?.Invoke(parameter.Name)));
        return
        [
            new([.. trained[(false, null)]], 0),
            new([.. trained[(true, null)]], weightDecay),
            .. trained.Where(group => group.Key.Item2 is not null)
                .Select(group => new ParameterGroup([.. group], group.Key.Item1 ? weightDecay : 0) { FixedLearningRate = group.Key.Item2 }),
        ];
    }
}

/// <summary>Parameters that share their weight decay.</summary>
/// <param name="Parameters">The parameters, in checkpoint order.</param>
/// <param name="WeightDecay">Decoupled weight decay, multiplied by the learning rate at each step.</param>
public sealed record ParameterGroup(IReadOnlyList<NamedParameter> Parameters, double WeightDecay)
{
    /// <summary>A learning rate that no schedule changes; null follows the schedule.</summary>
    public double? FixedLearningRate { get; init; }
}

/// <summary>A tensor that training changes.</summary>
/// <param name="Name">Its name in the checkpoint.</param>
/// <param name="Value">The tensor; a leaf that requires gradients.</param>
public readonly record struct NamedParameter(string Name, Tensor Value);
