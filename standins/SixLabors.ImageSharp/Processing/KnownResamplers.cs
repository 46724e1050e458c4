using SixLabors.ImageSharp.Processing.Processors.Transforms;

namespace SixLabors.ImageSharp.Processing;

public static class KnownResamplers
{
    public static IResampler Bicubic { get; } = new CubicResampler();

    public static IResampler NearestNeighbor { get; } = new NearestResampler();
}
