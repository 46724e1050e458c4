namespace RegCache.Lab.Encoders;

/// <summary>The probe of a run, bound to one block; does nothing when the run has no probe.</summary>
/// <param name="Probe">The observer, or null.</param>
/// <param name="Block">The block that is running, 0-based.</param>
public readonly record struct BlockProbe(IActivationProbe? Probe, int Block)
{
    /// <summary>Whether the observer wants this activation of the block.</summary>
    public bool Wants(ActivationKind kind) => Probe?.Wants(Block, kind) ?? false;

    /// <summary>Whether the observer wants any activation of the block from the first to the last kind.</summary>
    public bool WantsAny(ActivationKind first, ActivationKind last)
    {
        for (var kind = first; kind <= last; kind++)
        {
            if (Wants(kind))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Shows the activation to the observer if it wants it.</summary>
    public void Observe(ActivationKind kind, Tensor value)
    {
        if (Wants(kind))
        {
            Probe!.Observe(Block, kind, value);
        }
    }
}
