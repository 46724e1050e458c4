namespace SixLabors.ImageSharp.Processing.Processors.Transforms;

/// <summary>Cubic convolution with a = -0.5.</summary>
internal sealed class CubicResampler : IResampler
{
    public float Radius => 2;

    public float GetValue(float x)
    {
        x = MathF.Abs(x);
        return x < 1 ? (((1.5f * x) - 2.5f) * x * x) + 1
            : x < 2 ? (((((-0.5f * x) + 2.5f) * x) - 4) * x) + 2
            : 0;
    }
}
