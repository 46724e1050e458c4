using RegCache.Lab.Encoders;

namespace RegCache.Lab.Evaluation;

/// <summary>Single activations of the float encoder, to be looked at.</summary>
public static class Activations
{
    /// <summary>Runs the encoder up to a block and returns one activation of it.</summary>
    /// <param name="tower">The encoder.</param>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="block">The block, 0-based.</param>
    /// <param name="kind">Which activation of the block.</param>
    /// <returns>The activation, shaped as <see cref="ActivationKind"/> says, float32 on the CPU, which the caller disposes.</returns>
    public static Tensor Of(VisionTower tower, Tensor images, int block, ActivationKind kind)
    {
        var probe = new Probe(block, kind);
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var (device, type) = tower.Placement;
        tower.Forward(images.to(type, device), block + 1, probe);
        return probe.Value!;
    }

    private sealed class Probe(int wantedBlock, ActivationKind wantedKind) : IActivationProbe
    {
        public Tensor? Value { get; private set; }

        public bool Wants(int block, ActivationKind kind) => (block, kind) == (wantedBlock, wantedKind);

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            using var scope = torch.NewDisposeScope();
            Value = value.to(torch.ScalarType.Float32).cpu().clone().DetachFromDisposeScope();
        }
    }
}
