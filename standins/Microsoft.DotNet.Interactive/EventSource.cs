using System.Collections.Immutable;
using Microsoft.DotNet.Interactive.Events;

namespace Microsoft.DotNet.Interactive;

/// <summary>Hands events to whoever has subscribed.</summary>
internal sealed class EventSource : IObservable<KernelEvent>
{
    private ImmutableArray<IObserver<KernelEvent>> _observers = [];

    public IDisposable Subscribe(IObserver<KernelEvent> observer)
    {
        ImmutableInterlocked.Update(ref _observers, static (all, one) => all.Add(one), observer);
        return new Subscription(this, observer);
    }

    public void Publish(KernelEvent kernelEvent)
    {
        foreach (var observer in _observers)
        {
            observer.OnNext(kernelEvent);
        }
    }

    private sealed class Subscription(EventSource source, IObserver<KernelEvent> observer) : IDisposable
    {
        public void Dispose() => ImmutableInterlocked.Update(ref source._observers, static (all, one) => all.Remove(one), observer);
    }
}
