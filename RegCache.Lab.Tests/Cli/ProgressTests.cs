using RegCache.Lab.Cli.Progress;
using Spectre.Console;
using Xunit;

namespace RegCache.Lab.Tests.Cli;

public sealed class ProgressTests
{
    [Fact]
    public void PlainLinesComeEveryFiveSecondsAndAtTheEnd()
    {
        var time = new ManualTime();
        var text = new StringWriter();
        using var progress = new PlainProgress(text, time);
        using (var work = progress.Start("search", 1000, "images", alreadyDone: 100))
        {
            for (var second = 1; second <= 12; second++)
            {
                time.Advance(TimeSpan.FromSeconds(1));
                work.Report(100 + second * 10);
            }
        }

        progress.Message("Done.");
        Assert.Equal(
            [
                "search: 150 of 1000 images, 10.0 images/s, 1:25 left",
                "search: 200 of 1000 images, 10.0 images/s, 1:20 left",
                "search: 220 of 1000 images after 0:12, 10.0 images/s",
                "Done.",
                "",
            ],
            text.ToString().Split(Environment.NewLine));
    }

    [Theory]
    [InlineData(7200, "2:00:00 left")]
    [InlineData(61, "1:01 left")]
    public void TheTimeLeftIsAClock(int secondsLeft, string expected)
    {
        var time = new ManualTime();
        var text = new StringWriter();
        using var progress = new PlainProgress(text, time);
        using var work = progress.Start("x", 6 + secondsLeft, "images");
        time.Advance(TimeSpan.FromSeconds(6));
        work.Report(6);
        Assert.Contains(expected, text.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void AWorkThatDoesNotMoveHasNoTimeLeft()
    {
        var time = new ManualTime();
        var text = new StringWriter();
        using var progress = new PlainProgress(text, time);
        using var work = progress.Start("x", 10, "images");
        time.Advance(TimeSpan.FromSeconds(6));
        work.Report(0);
        Assert.Equal($"x: 0 of 10 images{Environment.NewLine}", text.ToString());
    }

    [Fact]
    public async Task BarsShowTitleRateAndMessagesFromManyThreads()
    {
        var text = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.Yes,
            Interactive = InteractionSupport.Yes,
            Out = new AnsiConsoleOutput(text),
        });
        using (var progress = new TerminalProgress(console))
        {
            for (var round = 0; round < 3; round++)
            {
                using var outer = progress.Start($"outer [{round}]", 3, "plans");
                await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(() =>
                {
                    using var inner = progress.Start($"inner {worker}", 50, "images");
                    for (var done = 1; done <= 50; done++)
                    {
                        inner.Report(done);
                        Thread.Sleep(2);
                    }
                })));
                progress.Message("half way");
                outer.Report(3);
            }
        }

        var shown = text.ToString();
        Assert.Contains("outer [0]", shown, StringComparison.Ordinal);
        Assert.Contains("outer [2]", shown, StringComparison.Ordinal);
        Assert.Contains("inner 3", shown, StringComparison.Ordinal);
        Assert.Contains("images/s", shown, StringComparison.Ordinal);
        Assert.Contains("half way", shown, StringComparison.Ordinal);
    }

    [Fact]
    public void AnOpenBarIsClosedWithTheProgress()
    {
        var text = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.Yes,
            Interactive = InteractionSupport.Yes,
            Out = new AnsiConsoleOutput(text),
        });
        var progress = new TerminalProgress(console);
        var left = progress.Start("left", 10, "images");
        progress.Dispose();
        var closed = text.ToString();
        left.Dispose();
        // The cursor is shown again.
        Assert.Contains("\u001b[?25h", closed, StringComparison.Ordinal);
    }

    private sealed class ManualTime : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now;

        public void Advance(TimeSpan span) => _now += span.Ticks;
    }
}
