using RegCache.Lab.Quantization.Kernels;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>Candidates with a kernel that quantizes by many of them in one go.</summary>
internal sealed class Candidates<TOperation>(
    int count, Func<int, ITensorQuantizer> quantizer, Func<int, TOperation> operation) : ICandidates
    where TOperation : struct, IVectorOperation
{
    public int Count => count;

    public ITensorQuantizer this[int index] => quantizer(index);

    public Tensor Expand(Tensor values, int[] chosen)
    {
        if (VectorKernel.CanRead(values))
        {
            var shape = values.shape;
            var result = torch.empty([shape[0], chosen.Length, .. shape[1..]]);
            VectorKernel.Expand(values, result, shape[0], Array.ConvertAll(chosen, candidate => operation(candidate)));
            return result;
        }

        using var scope = torch.NewDisposeScope();
        return torch.stack(chosen.Select(candidate => quantizer(candidate).FakeQuantize(values)), 1).MoveToOuterDisposeScope();
    }
}
