using Microsoft.DotNet.Interactive.Commands;

namespace Microsoft.DotNet.Interactive.Events;

public abstract class KernelEvent
{
    protected KernelEvent(KernelCommand command) => Command = command;

    public KernelCommand Command { get; }

    public override string ToString() => GetType().Name;
}
