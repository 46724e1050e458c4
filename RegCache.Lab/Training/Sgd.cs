namespace RegCache.Lab.Training;

/// <summary>
/// Stochastic gradient descent with Nesterov's momentum (Sutskever et al. 2013): with <c>g</c> the gradient plus <c>wd p</c>,
/// <c>v = mu v + g</c>, then <c>p -= lr (g + mu v)</c>. The first velocity is the first gradient, as in PyTorch.
/// </summary>
/// <param name="groups">What is trained, see <see cref="ParameterGroups"/>.</param>
/// <param name="momentum">The share mu of the velocity that a step keeps, from 0 up to, not including, 1.</param>
public sealed class Sgd(IReadOnlyList<ParameterGroup> groups, double momentum = 0.9) : Optimizer(groups, "momentum_buffer")
{
    /// <summary>The entry in the list of optimisers.</summary>
    public static OptimizerKind Entry { get; } = new(
        "sgd", "Stochastic gradient descent with Nesterov's momentum; weight decay is added to the gradient.",
        (groups, set) => new Sgd(groups, set.Momentum));

    /// <inheritdoc />
    protected override void Update(IReadOnlyList<ParameterUpdate> updates, double learningRate, GradientScale scale)
    {
        var factor = scale.ToTensor();
        foreach (var update in updates)
        {
            using var scope = torch.NewDisposeScope();
            var gradient = update.ScaledGradient(factor);
            if (update.WeightDecay != 0)
            {
                gradient = gradient.add(update.Value, update.WeightDecay);
            }

            var velocity = update.Moments[0].mul_(momentum).add_(gradient);
            update.Value.add_(gradient.add(velocity, momentum), -learningRate);
        }
    }
}
