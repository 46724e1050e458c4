using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Progress;

/// <summary>Progress on standard error: bars on a terminal, plain lines where it goes to a file or a pipe.</summary>
internal abstract class KitProgress : IWorkProgress, IDisposable
{
    /// <summary>The one that fits what standard error is.</summary>
    public static KitProgress ForStandardError()
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return console.Profile.Out.IsTerminal ? new TerminalProgress(console) : new PlainProgress(Console.Error, TimeProvider.System);
    }

    /// <inheritdoc/>
    public abstract IProgressHandle Start(string title, long total, string unit, long alreadyDone = 0);

    /// <inheritdoc/>
    public abstract void Message(string text);

    /// <summary>Gives the terminal back, even when work was left under way by an error.</summary>
    public abstract void Dispose();
}

/// <summary>Progress as lines of text: about every five seconds, and at the end of each piece of work.</summary>
internal sealed class PlainProgress : KitProgress
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private readonly Lock _gate = new();
    private readonly TextWriter _writer;
    private readonly TimeProvider _time;

    /// <summary>Writes lines to <paramref name="writer"/>, timed by <paramref name="time"/>.</summary>
    public PlainProgress(TextWriter writer, TimeProvider time)
    {
        _writer = writer;
        _time = time;
    }

    /// <inheritdoc/>
    public override IProgressHandle Start(string title, long total, string unit, long alreadyDone = 0) =>
        new Handle(this, title, total, unit, alreadyDone);

    /// <inheritdoc/>
    public override void Message(string text)
    {
        lock (_gate)
        {
            _writer.WriteLine(text);
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
    }

    private sealed class Handle(PlainProgress owner, string title, long total, string unit, long alreadyDone) : IProgressHandle
    {
        private readonly WorkRate _rate = new(total, alreadyDone, unit, owner._time);
        private long _done = alreadyDone;
        private TimeSpan _next = Interval;

        public void Report(long done)
        {
            lock (owner._gate)
            {
                _done = done;
                if (_rate.Elapsed < _next)
                {
                    return;
                }

                _next = _rate.Elapsed + Interval;
                owner._writer.WriteLine(Join($"{title}: {done} of {total} {unit}", _rate.RateText(done), Left(_rate.TimeLeftText(done))));
            }
        }

        public void Dispose()
        {
            lock (owner._gate)
            {
                owner._writer.WriteLine(
                    Join($"{title}: {_done} of {total} {unit} after {WorkRate.Clock(_rate.Elapsed)}", _rate.RateText(_done)));
            }
        }

        private static string Left(string clock) => clock.Length == 0 ? "" : clock + " left";

        private static string Join(params string[] parts) => string.Join(", ", parts.Where(part => part.Length > 0));
    }
}

/// <summary>How fast a piece of work goes, on average since it started.</summary>
/// <param name="total">Units in all.</param>
/// <param name="alreadyDone">Units done before it started; they do not count towards the rate.</param>
/// <param name="unit">What is counted, in the plural.</param>
/// <param name="time">The clock.</param>
internal sealed class WorkRate(long total, long alreadyDone, string unit, TimeProvider time)
{
    private readonly long _started = time.GetTimestamp();

    /// <summary>Time since the start.</summary>
    public TimeSpan Elapsed => time.GetElapsedTime(_started);

    /// <summary>The rate as text, <c>35.2 images/s</c>; empty before there is one.</summary>
    public string RateText(long done) => PerSecond(done) switch
    {
        <= 0 => "",
        >= 100 and var rate => $"{rate:0} {unit}/s",
        >= 1 and var rate => $"{rate:0.0} {unit}/s",
        var rate => $"{rate:0.000} {unit}/s",
    };

    /// <summary>The time left as text, <c>1:05:00</c> or <c>1:48</c>; empty when it is not known or over.</summary>
    public string TimeLeftText(long done)
    {
        var rate = PerSecond(done);
        var seconds = (total - done) / rate;
        return rate > 0 && done < total && seconds < TimeSpan.MaxValue.TotalSeconds ? Clock(TimeSpan.FromSeconds(seconds)) : "";
    }

    /// <summary>A time span as hours, minutes and seconds.</summary>
    public static string Clock(TimeSpan span) => span.TotalHours >= 1
        ? $"{(long)span.TotalHours}:{span.Minutes:00}:{span.Seconds:00}"
        : $"{span.Minutes}:{span.Seconds:00}";

    private double PerSecond(long done) => Elapsed > TimeSpan.Zero ? (done - alreadyDone) / Elapsed.TotalSeconds : 0;
}
