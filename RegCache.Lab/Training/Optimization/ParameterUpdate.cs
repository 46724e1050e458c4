namespace RegCache.Lab.Training.Optimization;

/// <summary>What one parameter's step works on.</summary>
/// <param name="Value">The parameter.</param>
/// <param name="Gradient">Its gradient.</param>
/// <param name="First">First moment.</param>
/// <param name="Second">Second moment.</param>
/// <param name="WeightDecay">Its weight decay.</param>
internal sealed record ParameterUpdate(Tensor Value, Tensor Gradient, Tensor First, Tensor Second, double WeightDecay)
{
    /// <summary>Whether plain loops over memory can do the step.</summary>
    public bool IsDirect =>
        AdamWKernel.IsDirect(Value) && AdamWKernel.IsDirect(Gradient) && AdamWKernel.IsDirect(First) && AdamWKernel.IsDirect(Second);
}
