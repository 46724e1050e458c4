using System.Collections;
using Microsoft.DotNet.Interactive.Commands;

namespace Microsoft.DotNet.Interactive;

public sealed class CompositeKernel : Kernel, IEnumerable<Kernel>
{
    private readonly List<Kernel> _kernels = [];
    private readonly Dictionary<string, Kernel> _names = [];

    public CompositeKernel(string? name = null)
        : base(name ?? ".NET") => RegisterForDisposal(() => _kernels.ForEach(kernel => kernel.Dispose()));

    public string? DefaultKernelName { get; set; }

    public void Add(Kernel kernel, IEnumerable<string>? aliases = null)
    {
        _kernels.Add(kernel);
        kernel.ParentKernel = this;
        DefaultKernelName ??= kernel.Name;
        foreach (var name in (aliases ?? []).Prepend(kernel.Name))
        {
            _names[name] = kernel;
        }
    }

    public IEnumerator<Kernel> GetEnumerator() => _kernels.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal Kernel Choose(KernelCommand command) =>
        (command.TargetKernelName ?? DefaultKernelName) is { } name && _names.TryGetValue(name, out var kernel) ? kernel : this;
}
