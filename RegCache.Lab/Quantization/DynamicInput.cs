namespace RegCache.Lab.Quantization;

/// <summary>Quantizes an activation on a grid that is taken from its own range.</summary>
/// <param name="Quantizer">Bits, scope and symmetry.</param>
/// <param name="Layer">The layer whose input it is, for messages.</param>
internal sealed record DynamicInput(NaiveQuantizer Quantizer, string Layer) : ITensorQuantizer
{
    public Tensor FakeQuantize(Tensor values)
    {
        using var scope = torch.NewDisposeScope();
        var grid = Quantizer.ActivationGrid(values);
        FiniteCheck.Require(grid.Scale, values, Layer);
        return grid.FakeQuantize(values).MoveToOuterDisposeScope();
    }
}
