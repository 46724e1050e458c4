namespace RegCache.Lab.Cli.Progress;

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
