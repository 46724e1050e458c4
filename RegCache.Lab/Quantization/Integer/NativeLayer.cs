using System.Runtime.InteropServices;

namespace RegCache.Lab.Quantization.Integer;

/// <summary>`rc_linear` of Native/api.h: a linear layer by its memory.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeLayer
{
    public Factors Factors;
    public int Inputs, Outputs;
    public void* Packed;
    public float* Bias;
    public float* Scale;
    public int* ColumnSums;
    public int* WeightOffsets;
    public sbyte* Columns;
    public int Scope, Asymmetric, Levels, Zero;
    public float Step, ClippedShift;
}
