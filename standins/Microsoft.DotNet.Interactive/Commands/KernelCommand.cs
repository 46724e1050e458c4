namespace Microsoft.DotNet.Interactive.Commands;

public abstract class KernelCommand : IEquatable<KernelCommand>
{
    protected KernelCommand(string? targetKernelName = null) => TargetKernelName = targetKernelName;

    public string? TargetKernelName { get; internal set; }

    public bool Equals(KernelCommand? other) => ReferenceEquals(this, other);

    public virtual Task InvokeAsync(KernelInvocationContext context) => context.HandlingKernel.HandleAsync(this, context);
}
