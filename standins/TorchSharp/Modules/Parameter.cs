namespace TorchSharp.Modules;

public class Parameter : torch.Tensor
{
    public Parameter(torch.Tensor data, bool requires_grad = true)
        : base(Take(data, requires_grad), register: false) => DisposeScope.Replace(data, this);

    private static nint Take(torch.Tensor data, bool requires_grad) => data.with_requires_grad(requires_grad).MoveHandle();
}
