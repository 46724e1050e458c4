namespace RegCache.Lab.Quantization.RepqVit;

/// <summary>
/// Turns a grid for every channel into one for the tensor by moving the differences into the LayerNorm before and the
/// linear layer behind (quantizers.md, section 3.4).
/// </summary>
internal static class Reparameterization
{
    /// <summary>The grid of the tensor, with the means of scale and zero point, and what has to be moved.</summary>
    /// <param name="channels">Grids of the channels, scale [1,1,C].</param>
    public static (UniformQuantizer Grid, ScaleReparameterization Shift) Of(UniformQuantizer channels)
    {
        using var scope = torch.NewDisposeScope();
        var (scales, zeroPoints) = (channels.Scale.flatten(), channels.ZeroPoint!.flatten());
        var (scale, zeroPoint) = (scales.mean(), zeroPoints.mean());
        var ratio = scales / scale;
        var offset = (zeroPoints * scales / ratio).neg() + (zeroPoint * scale);
        Tensor Kept(Tensor tensor) => tensor.DetachFromDisposeScope();
        return (
            new(Kept(scale.view(1)), Kept(zeroPoint.view(1)), channels.Lowest, channels.Highest),
            new(Kept(ratio), Kept(offset)));
    }
}
