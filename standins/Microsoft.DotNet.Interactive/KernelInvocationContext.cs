using Microsoft.DotNet.Interactive.Commands;
using Microsoft.DotNet.Interactive.Events;

namespace Microsoft.DotNet.Interactive;

public class KernelInvocationContext : IDisposable
{
    private static readonly AsyncLocal<KernelInvocationContext?> Ambient = new();
    private readonly EventSource _events = new();
    private readonly CancellationTokenSource _cancellation;
    private readonly KernelInvocationContext? _outer;

    internal KernelInvocationContext(
        KernelCommand command, Kernel handlingKernel, KernelInvocationContext? outer, CancellationToken cancellationToken)
    {
        Command = command;
        HandlingKernel = handlingKernel;
        _outer = outer;
        _cancellation = CancellationTokenSource.CreateLinkedTokenSource(
            cancellationToken, outer?.CancellationToken ?? CancellationToken.None);
        CancellationToken = _cancellation.Token;
    }

    public static KernelInvocationContext? Current => Ambient.Value is { IsComplete: false } context ? context : null;

    public CancellationToken CancellationToken { get; }

    public KernelCommand Command { get; }

    public Kernel HandlingKernel { get; internal set; }

    public bool IsComplete { get; private set; }

    public IObservable<KernelEvent> KernelEvents => _events;

    public void Publish(KernelEvent @event)
    {
        if (IsComplete)
        {
            return;
        }

        _events.Publish(@event);
        if (_outer is null)
        {
            HandlingKernel.Raise(@event);
        }
        else
        {
            _outer.Publish(@event);
        }
    }

    public void Complete(KernelCommand command) => End(command, () => new CommandSucceeded(command));

    public void Fail(KernelCommand command, Exception? exception = null, string? message = null) =>
        End(command, () => new CommandFailed(exception, command, message));

    public void Dispose() => _cancellation.Dispose();

    internal static IDisposable Enter(KernelInvocationContext context)
    {
        var before = Ambient.Value;
        Ambient.Value = context;
        return new Restore(before);
    }

    private void End(KernelCommand command, Func<KernelEvent> completion)
    {
        if (command == Command && !IsComplete)
        {
            Publish(completion());
            IsComplete = true;
        }
    }

    private sealed class Restore(KernelInvocationContext? before) : IDisposable
    {
        public void Dispose() => Ambient.Value = before;
    }
}
