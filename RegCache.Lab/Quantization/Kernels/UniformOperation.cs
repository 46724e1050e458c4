using System.Runtime.Intrinsics;

namespace RegCache.Lab.Quantization.Kernels;

/// <summary><see cref="UniformQuantizer.FakeQuantize"/> with one scale and zero point; the same bits as the tensor operators.</summary>
internal readonly struct UniformOperation : IVectorOperation
{
    private readonly Vector512<float> _scale, _shift, _unshift, _lowest, _highest;

    public UniformOperation(float scale, float? zeroPoint, float lowest, float highest)
    {
        _scale = Vector512.Create(scale);
        // x + -0 is x for every x, and x - 0 too: without a zero point negative zeros stay as the tensor operators leave them.
        (_shift, _unshift) = (Vector512.Create(zeroPoint ?? -0f), Vector512.Create(zeroPoint ?? 0f));
        (_lowest, _highest) = (Vector512.Create(lowest), Vector512.Create(highest));
    }

    public Vector512<float> Apply(Vector512<float> values)
    {
        var codes = Vector512.Round(values / _scale) + _shift;
        // MaxNative/MinNative with the value second keep NaN, as clamp does.
        var clipped = Vector512.MinNative(_highest, Vector512.MaxNative(_lowest, codes));
        return (clipped - _unshift) * _scale;
    }
}
