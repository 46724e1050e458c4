using RegCache.Lab.Quantization.Integer;

namespace RegCache.Lab.Tests.Quantization.Integer;

/// <summary>A test of the kernels on oneDNN; where they are not built or the processor lacks 8-bit products it is skipped and says so.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class IntegerFactAttribute : FactAttribute
{
    public IntegerFactAttribute() => Skip = OneDnn.Support.IntegerProblem;
}
