namespace RegCache.Lab.Training;

/// <summary>Settings of sharpness-aware minimisation.</summary>
/// <param name="Radius">How far the parameters climb, rho; about 0.05, or ten times as much when adaptive.</param>
/// <param name="Adaptive">Whether every parameter climbs in proportion to its own magnitude (adaptive SAM).</param>
public sealed record SamOptions(double Radius = 0.05, bool Adaptive = false);

/// <summary>
/// Sharpness-aware minimisation around any optimizer (SAM: Foret et al. 2021, equation 2; adaptive SAM: Kwon et al. 2021): the
/// step takes the gradient not where the parameters are but where, nearby, the loss is highest. Parameters without a gradient
/// are left alone. Nothing waits for the device.
/// </summary>
public sealed class SamTraining
{
    private readonly IReadOnlyList<Tensor> _parameters;
    private readonly SamOptions _options;

    /// <summary>Wraps the training of these parameters.</summary>
    /// <exception cref="UserException">The radius is negative or not finite.</exception>
    public SamTraining(IReadOnlyList<Tensor> parameters, SamOptions options)
    {
        if (!double.IsFinite(options.Radius) || options.Radius < 0)
        {
            throw new UserException($"The radius of sharpness-aware minimisation is {options.Radius}; it must be a finite number from 0 on.");
        }

        _parameters = parameters;
        _options = options;
    }

    /// <summary>
    /// Moves the parameters uphill, <c>w += rho g / (n + 1e-12)</c>, times <c>w^2</c> when adaptive, with n the norm of all
    /// gradients (each times |w| when adaptive), and clears the gradients. Disposing the result moves them back exactly.
    /// </summary>
    public SamClimb Climb()
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var moved = _parameters.Where(parameter => parameter.grad is not null).ToArray();
        var norm = GradientNorm(moved);
        var step = _options.Radius / (norm + 1e-12);
        var originals = new (Tensor, Tensor)[moved.Length];
        foreach (var (index, parameter) in moved.Index())
        {
            originals[index] = (parameter, parameter.detach().clone().DetachFromDisposeScope());
            var uphill = parameter.grad! * step.to(parameter.dtype);
            parameter.add_(_options.Adaptive ? uphill * parameter.square() : uphill);
        }

        ClearGradients();
        return new(originals, norm.DetachFromDisposeScope());
    }

    /// <summary>
    /// Runs the pass of a step; with sharpness-aware minimisation twice, the second time uphill. The gradients are those of the last one.
    /// </summary>
    /// <param name="sharpness">Null for a plain step.</param>
    /// <param name="pass">Computes the gradients of the batch; called again it draws the same random numbers.</param>
    /// <param name="beforeLast">Called before the pass whose gradients count.</param>
    /// <returns>What the first pass returned.</returns>
    public static T Passes<T>(SamTraining? sharpness, Func<T> pass, Action beforeLast)
    {
        if (sharpness is null)
        {
            beforeLast();
            return pass();
        }

        var first = pass();
        using var climb = sharpness.Climb();
        beforeLast();
        pass();
        return first;
    }

    private Tensor GradientNorm(Tensor[] moved)
    {
        if (moved.Length == 0)
        {
            throw new InvalidOperationException("Sharpness-aware minimisation needs gradients: call it after the backward pass.");
        }

        var squares = moved.Select(parameter =>
            (_options.Adaptive ? parameter.grad! * parameter : parameter.grad!).to(torch.ScalarType.Float32).square().sum());
        return torch.stack([.. squares]).sum().sqrt();
    }

    private void ClearGradients()
    {
        foreach (var parameter in _parameters)
        {
            parameter.grad = null;
        }
    }
}

/// <summary>Parameters that have been moved uphill; disposing moves them back and keeps their new gradients.</summary>
public sealed class SamClimb : IDisposable
{
    private readonly IReadOnlyList<(Tensor Parameter, Tensor Original)> _originals;

    internal SamClimb(IReadOnlyList<(Tensor Parameter, Tensor Original)> originals, Tensor gradientNorm)
    {
        _originals = originals;
        GradientNorm = gradientNorm;
    }

    /// <summary>Norm of the gradients that the climb followed [].</summary>
    public Tensor GradientNorm { get; }

    /// <inheritdoc />
    public void Dispose()
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        foreach (var (parameter, original) in _originals)
        {
            parameter.copy_(original);
            original.Dispose();
        }

        GradientNorm.Dispose();
    }
}
