namespace RegCache.Lab.Training;

/// <summary>
/// What all optimisers share: the parameters with their gradients and moments, the norm of the gradients, clipping, and what a
/// checkpoint holds. A new one is a class that derives from this one and a line in <see cref="Optimizers"/>.
/// </summary>
public abstract class Optimizer : IDisposable
{
    private readonly Slot[] _slots;
    private readonly string[] _momentNames;

    /// <summary>Starts with zero moments.</summary>
    /// <param name="groups">What is trained, see <see cref="ParameterGroups"/>.</param>
    /// <param name="moments">What a checkpoint calls the tensors that are kept for every parameter.</param>
    protected Optimizer(IReadOnlyList<ParameterGroup> groups, params string[] moments)
    {
        _momentNames = moments;
        using var noGradient = torch.no_grad();
        _slots =
        [
            .. groups.SelectMany(group => group.Parameters.Select(parameter => new Slot(
                parameter, group, [.. moments.Select(_ => torch.zeros_like(parameter.Value).DetachFromDisposeScope())]))),
        ];
    }

    /// <summary>Number of steps taken.</summary>
    public long Steps { get; private set; }

    /// <summary>The moments under the names that checkpoints use, such as <c>exp_avg.</c> before the parameter's name.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State => _slots.SelectMany(slot =>
        _momentNames.Zip(slot.Moments, (name, moment) => KeyValuePair.Create($"{name}.{slot.Parameter.Name}", moment)));

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

    /// <summary>What it trains, in the order of the groups.</summary>
    public IReadOnlyList<Tensor> Parameters => [.. _slots.Select(slot => slot.Parameter.Value)];

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
        var scale = Clip(gradientNorm is not null && double.IsFinite(maxGradientNorm) ? new(gradientNorm, maxGradientNorm) : GradientScale.One);
        foreach (var updates in Updates().GroupBy(update => update.Group.FixedLearningRate ?? learningRate))
        {
            Update([.. updates], updates.Key, scale);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        GC.SuppressFinalize(this);
        foreach (var moment in _slots.SelectMany(slot => slot.Moments))
        {
            moment.Dispose();
        }
    }

    /// <summary>Takes one step for parameters that share a learning rate; <see cref="Steps"/> counts it already.</summary>
    /// <param name="updates">The parameters.</param>
    /// <param name="learningRate">Their learning rate.</param>
    /// <param name="scale">Multiplies every gradient.</param>
    protected abstract void Update(IReadOnlyList<ParameterUpdate> updates, double learningRate, GradientScale scale);

    /// <summary>What the gradients are multiplied by where an optimiser clips of its own accord, besides the caller.</summary>
    protected virtual GradientScale Clip(GradientScale scale) => scale;

    private List<ParameterUpdate> Updates()
    {
        var updates = new List<ParameterUpdate>(_slots.Length);
        foreach (var (parameter, group, moments) in _slots)
        {
            if (parameter.Value.grad is { } gradient)
            {
                updates.Add(new(parameter.Value, gradient, moments, group));
            }
        }

        return updates;
    }

    private sealed record Slot(NamedParameter Parameter, ParameterGroup Group, Tensor[] Moments);
}

/// <summary>What gradients are multiplied by, <c>min(1, max / (norm + epsilon))</c>; asking for a number waits for the device.</summary>
/// <param name="Norm">Norm of all gradients, []; null for the factor 1.</param>
/// <param name="Most">The norm that is left alone.</param>
/// <param name="Epsilon">Added to the norm.</param>
public readonly record struct GradientScale(Tensor? Norm, double Most, double Epsilon = 1e-6)
{
    /// <summary>The factor 1.</summary>
    public static GradientScale One { get; } = new(null, double.PositiveInfinity);

    /// <summary>The factor as a number.</summary>
    public double ToDouble() => Norm is null ? 1 : Math.Min(1, Most / (Norm.ToDouble() + Epsilon));

    /// <summary>The factor as a tensor [] on the norm's device; null for 1.</summary>
    public Tensor? ToTensor() => Norm is null ? null : (Most / (Norm + Epsilon)).clamp_max(1);
}

/// <summary>What one parameter's step works on.</summary>
/// <param name="Value">The parameter.</param>
/// <param name="Gradient">Its gradient.</param>
/// <param name="Moments">What the optimiser keeps for it.</param>
/// <param name="Group">The group with its weight decay.</param>
public sealed record ParameterUpdate(Tensor Value, Tensor Gradient, IReadOnlyList<Tensor> Moments, ParameterGroup Group)
{
    /// <summary>Its weight decay.</summary>
    public double WeightDecay => Group.WeightDecay;

    /// <summary>Whether plain loops over memory can do the step.</summary>
    internal bool IsDirect =>
        AdamWKernel.IsDirect(Value) && AdamWKernel.IsDirect(Gradient) && Moments.All(AdamWKernel.IsDirect);

    /// <summary>The gradient times a factor.</summary>
    internal Tensor ScaledGradient(Tensor? scale) => scale is null ? Gradient : Gradient * scale.to(Gradient.dtype);
}

/// <summary>An optimiser that can be chosen by name.</summary>
/// <param name="Name">Its name in configurations.</param>
/// <param name="Help">What it is, in one line.</param>
/// <param name="Make">Makes it for groups of parameters.</param>
public sealed record OptimizerKind(string Name, string Help, Func<IReadOnlyList<ParameterGroup>, OptimizerSettings, Optimizer> Make) : IListed
{
    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];

    /// <inheritdoc />
    public override string ToString() => Name;
}

/// <summary>The constants of all optimisers; each takes those that it has.</summary>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
/// <param name="Momentum">Momentum of stochastic gradient descent.</param>
public sealed record OptimizerSettings(double Beta1, double Beta2, double Epsilon, double Momentum = 0.9);

/// <summary>All of them.</summary>
public static class Optimizers
{
    /// <summary>The list.</summary>
    public static OpenList<OptimizerKind> All { get; } = new("optimiser", AdamW.Entry, Lamb.Entry, Sgd.Entry);
}
