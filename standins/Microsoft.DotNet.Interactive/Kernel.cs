using System.Collections.Concurrent;
using Microsoft.AspNetCore.Html;
using Microsoft.DotNet.Interactive.Commands;
using Microsoft.DotNet.Interactive.Events;

namespace Microsoft.DotNet.Interactive;

public abstract class Kernel : IDisposable
{
    private readonly ConcurrentDictionary<Type, Func<KernelCommand, KernelInvocationContext, Task>> _handlers = [];
    private readonly EventSource _events = new();
    private readonly ConcurrentStack<Action> _disposals = [];

    protected Kernel(string name) => Name = name;

    public static Kernel? Current => KernelInvocationContext.Current?.HandlingKernel;

    public IObservable<KernelEvent> KernelEvents => _events;

    public string Name { get; }

    public CompositeKernel? ParentKernel { get; internal set; }

    public static void CSS(string content) =>
        Javascript($$"""
            var style = document.createElement('style');
            style.textContent = {{System.Text.Json.JsonSerializer.Serialize(content)}};
            document.head.appendChild(style);
            """);

    public static IHtmlContent HTML(string content) => new HtmlString(content);

    public static void Javascript(string scriptContent) =>
        display(new HtmlString($"<script type=\"text/javascript\">{scriptContent}</script>"));

    public static DisplayedValue display(object? value, params string[] mimeTypes) => value.Display(mimeTypes);

    public void Dispose()
    {
        while (_disposals.TryPop(out var dispose))
        {
            dispose();
        }
    }

    public void RegisterCommandHandler<TCommand>(Func<TCommand, KernelInvocationContext, Task> handler)
        where TCommand : KernelCommand =>
        _handlers[typeof(TCommand)] = (command, context) => handler((TCommand)command, context);

    public void RegisterForDisposal(Action dispose) => _disposals.Push(dispose);

    public void RegisterForDisposal(IDisposable disposable) => RegisterForDisposal(disposable.Dispose);

    public async Task<KernelCommandResult> SendAsync(KernelCommand command, CancellationToken cancellationToken = default)
    {
        var events = new List<KernelEvent>();
        var context = new KernelInvocationContext(command, Route(command), KernelInvocationContext.Current, cancellationToken);
        using var collecting = context.KernelEvents.Subscribe(new Collector(events));
        using (KernelInvocationContext.Enter(context))
        {
            try
            {
                await command.InvokeAsync(context);
                context.Complete(command);
            }
            catch (Exception exception)
            {
                context.Fail(command, exception);
            }
        }

        lock (events)
        {
            return new KernelCommandResult(command, [.. events]);
        }
    }

    public bool SupportsCommandType(Type commandType) => _handlers.ContainsKey(commandType);

    public override string ToString() => $"{GetType().Name}: {Name}";

    internal Task HandleAsync(KernelCommand command, KernelInvocationContext context) =>
        _handlers.TryGetValue(command.GetType(), out var handler)
            ? handler(command, context)
            : throw new InvalidOperationException($"The kernel {Name} does not handle {command.GetType().Name}.");

    internal void Raise(KernelEvent kernelEvent)
    {
        _events.Publish(kernelEvent);
        ParentKernel?.Raise(kernelEvent);
    }

    private Kernel Route(KernelCommand command) =>
        this is CompositeKernel composite && !SupportsCommandType(command.GetType())
            ? composite.Choose(command)
            : this;

    private sealed class Collector(List<KernelEvent> events) : IObserver<KernelEvent>
    {
        public void OnCompleted()
        {
        }

        public void OnError(Exception error)
        {
        }

        public void OnNext(KernelEvent value)
        {
            lock (events)
            {
                events.Add(value);
            }
        }
    }
}
