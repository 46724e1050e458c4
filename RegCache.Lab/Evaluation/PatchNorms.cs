using RegCache.Lab.Encoders;

namespace RegCache.Lab.Evaluation;

/// <summary>The patch norms of some images after one block.</summary>
/// <param name="Columns">Columns of the patch grid.</param>
/// <param name="Norms">For each image the l2 norms of its patches, row-major.</param>
public sealed record PatchNorms(int Columns, IReadOnlyList<IReadOnlyList<float>> Norms)
{
    /// <summary>Runs the float encoder up to a block.</summary>
    /// <param name="tower">The encoder.</param>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="block">The block that the tokens leave, 0-based.</param>
    public static PatchNorms Measure(VisionTower tower, Tensor images, int block)
    {
        var probe = new Probe(block, tower.Config.ClassTokens);
        using var noGradient = torch.inference_mode();
        using var scope = torch.NewDisposeScope();
        var (device, type) = tower.Placement;
        tower.Forward(images.to(type, device), block + 1, probe);
        return new(tower.Config.Grid.Width, probe.Norms);
    }

    /// <summary>Which patches of an image are outliers, as <see cref="TokenNorms"/> defines them; row-major.</summary>
    public IReadOnlyList<bool> Outliers(int image)
    {
        var ascending = Norms[image].Order().ToArray();
        var limit = ascending[(ascending.Length - 1) / 2] * TokenNorms.OutlierFactor;
        return [.. Norms[image].Select(norm => norm > limit)];
    }

    private sealed class Probe(int wanted, int special) : IActivationProbe
    {
        public IReadOnlyList<IReadOnlyList<float>> Norms { get; private set; } = [];

        public bool Wants(int block, ActivationKind kind) => block == wanted && kind == ActivationKind.BlockOutput;

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            using var scope = torch.NewDisposeScope();
            var patches = value.narrow(1, special, value.shape[1] - special).to(torch.ScalarType.Float32);
            var norms = patches.square().sum(-1).sqrt().cpu();
            Norms = [.. norms.data<float>().ToArray().Chunk((int)norms.shape[1])];
        }
    }
}
