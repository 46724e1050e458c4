namespace RegCache.Lab.Training;

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
