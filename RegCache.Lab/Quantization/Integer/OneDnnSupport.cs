namespace RegCache.Lab.Quantization.Integer;

/// <summary>What the kernels on oneDNN can do on this machine.</summary>
/// <param name="Description">Version and instruction set; null where the kernels are missing.</param>
/// <param name="FloatProblem">What speaks against float32 products; null for nothing.</param>
/// <param name="BfloatProblem">What speaks against bfloat16 products; null for nothing.</param>
/// <param name="IntegerProblem">What speaks against products of 8-bit integers; null for nothing.</param>
public sealed record OneDnnSupport(string? Description, string? FloatProblem, string? BfloatProblem, string? IntegerProblem);
