using System.Runtime.Intrinsics;

namespace RegCache.Lab.Quantization.Kernels;

/// <summary>An elementwise function of float32 values, as a struct so that the loop around it is compiled for it.</summary>
internal interface IVectorOperation
{
    Vector512<float> Apply(Vector512<float> values);
}
