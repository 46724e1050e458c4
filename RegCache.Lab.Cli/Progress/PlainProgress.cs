using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Progress;

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
