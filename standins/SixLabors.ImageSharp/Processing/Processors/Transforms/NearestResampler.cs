namespace SixLabors.ImageSharp.Processing.Processors.Transforms;

/// <summary>Takes the nearest pixel.</summary>
internal sealed class NearestResampler : IResampler
{
    public float Radius => 1;

    public float GetValue(float x) => x is > -0.5f and <= 0.5f ? 1 : 0;
}
