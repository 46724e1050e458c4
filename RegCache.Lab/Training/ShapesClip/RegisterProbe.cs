using RegCache.Lab.Encoders;

namespace RegCache.Lab.Training.ShapesClip;

/// <summary>Keeps, with their gradients, the activations that the register losses act on.</summary>
internal sealed class RegisterProbe : IActivationProbe
{
    private readonly List<Tensor> _attention = [];
    private Tensor? _marks;

    /// <summary>Pre-activation of the mark neuron of every token [B,1+T].</summary>
    public Tensor Marks => _marks ?? throw new InvalidOperationException("The mark block has not run.");

    /// <summary>Attention probabilities of the blocks after the first amplifier [B,H,N,N].</summary>
    public IReadOnlyList<Tensor> Attention => _attention;

    /// <inheritdoc />
    public bool Wants(int block, ActivationKind kind) =>
        (kind == ActivationKind.MlpIn && block == PlantedRegisters.MarkBlock)
        || (kind == ActivationKind.AttentionProbabilities && block > PlantedRegisters.FirstAmplifier);

    /// <inheritdoc />
    public void Observe(int block, ActivationKind kind, Tensor value)
    {
        // An alias outlives the forward pass's own tensor and stays part of the graph.
        if (kind == ActivationKind.MlpIn)
        {
            _marks = value.select(2, 0).DetachFromDisposeScope();
        }
        else
        {
            _attention.Add(value.alias().DetachFromDisposeScope());
        }
    }

    /// <summary>Hands the kept tensors to the current dispose scope.</summary>
    public void AttachToScope()
    {
        var scope = torch.CurrentDisposeScope;
        scope?.Attach(_attention);
        if (_marks is not null)
        {
            scope?.Attach(_marks);
        }
    }
}
