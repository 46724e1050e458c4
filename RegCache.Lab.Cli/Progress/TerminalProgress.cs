using System.Collections.Concurrent;
using RegCache.Lab.Reports;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace RegCache.Lab.Cli.Progress;

/// <summary>Progress as bars with rate and time left. Bars live as long as any piece of work is open.</summary>
/// <param name="console">The terminal.</param>
internal sealed class TerminalProgress(IAnsiConsole console) : KitProgress
{
    private readonly Lock _gate = new();
    // Read by the drawing thread under Spectre's own lock, so it may not need the gate.
    private readonly ConcurrentDictionary<int, WorkRate> _rates = [];
    private Display? _display;
    private int _open;

    /// <inheritdoc/>
    public override IProgressHandle Start(string title, long total, string unit, long alreadyDone = 0)
    {
        lock (_gate)
        {
            _display ??= new Display(console, RateOf);
            _open++;
            var task = _display.Context.AddTask(Markup.Escape(title), autoStart: true, maxValue: Math.Max(total, 1));
            _rates[task.Id] = new WorkRate(total, alreadyDone, unit, TimeProvider.System);
            task.Value = alreadyDone;
            return new Handle(this, task);
        }
    }

    /// <inheritdoc/>
    public override void Message(string text) => console.WriteLine(text);

    /// <inheritdoc/>
    public override void Dispose()
    {
        Display? left;
        lock (_gate)
        {
            (left, _display) = (_display, null);
        }

        left?.Close();
    }

    private WorkRate? RateOf(ProgressTask task) => _rates.GetValueOrDefault(task.Id);

    private void End(ProgressTask task)
    {
        task.StopTask();
        Display? finished = null;
        lock (_gate)
        {
            if (--_open == 0)
            {
                (finished, _display) = (_display, null);
            }
        }

        finished?.Close();
    }

    private sealed class Handle(TerminalProgress owner, ProgressTask task) : IProgressHandle
    {
        private bool _ended;

        public void Report(long done) => task.Value = done;

        public void Dispose()
        {
            if (!_ended)
            {
                _ended = true;
                owner.End(task);
            }
        }
    }

    /// <summary>Spectre draws bars for as long as a delegate runs; this one runs until it is told to close.</summary>
    private sealed class Display
    {
        private readonly TaskCompletionSource _closing = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Task _running;

        public Display(IAnsiConsole console, Func<ProgressTask, WorkRate?> rateOf)
        {
            var started = new TaskCompletionSource<ProgressContext>(TaskCreationOptions.RunContinuationsAsynchronously);
            _running = new Spectre.Console.Progress(console)
                .Columns(
                    new TaskDescriptionColumn(),
                    new ProgressBarColumn(),
                    new PercentageColumn(),
                    new TextColumn(task => rateOf(task)?.RateText((long)task.Value)),
                    new TextColumn(task => rateOf(task)?.TimeLeftText((long)task.Value)))
                .StartAsync(context =>
                {
                    started.SetResult(context);
                    return _closing.Task;
                });
            Context = started.Task.GetAwaiter().GetResult();
        }

        public ProgressContext Context { get; }

        public void Close()
        {
            _closing.TrySetResult();
            _running.GetAwaiter().GetResult();
        }
    }

    private sealed class TextColumn(Func<ProgressTask, string?> text) : ProgressColumn
    {
        protected override bool NoWrap => true;

        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) =>
            new Text(text(task) ?? "", new Style(Color.Grey));
    }
}
