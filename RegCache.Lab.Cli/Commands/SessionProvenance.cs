using RegCache.Lab.Cli.Options;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Where the results of a session come from.</summary>
internal static class SessionProvenance
{
    public static Provenance Of(CommandContext context, RegCacheSession session, RunSettings run) => new(
        DateTimeOffset.Now,
        context.CommandLine,
        run.Seed,
        $"{session.Subject.Calibration(session.Options.Bits)}; {session.Options}; batch {session.Subject.BatchSize}; {Execution(session)}",
        new Dictionary<string, string> { [session.Clip.Name] = session.Clip.Hash },
        new Dictionary<string, string>
        {
            ["TRAIN_SAMPLE"] = session.Subject.SearchImages.Fingerprint,
            ["IMAGENET_VAL"] = session.Subject.ValidationImages.Fingerprint,
        },
        KitVersions.Current)
    {
        Architecture = session.Clip.Model.Config.Describe(),
        Assumptions = session.Clip.Assumptions,
    };

    private static string Execution(RegCacheSession session) => session.Execution is { } execution
        ? $"execution {execution.Mode.ToString().ToLowerInvariant()}{(execution.Describe() is { } layers ? $": {layers}" : "")}"
        : "execution by tensor operators";
}
