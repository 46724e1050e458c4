using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Commands;

/// <summary>All six stages of RegCache.</summary>
internal sealed class PipelineCommand : KitCommand
{
    private readonly SessionOptions _options = new();

    /// <inheritdoc/>
    public override string Path => "pipeline";

    /// <inheritdoc/>
    public override string Description =>
        "Runs RegCache: sensitive block, register candidates, averaged prefix, search of prefix and delete counts, evaluation.";

    /// <inheritdoc/>
    public override void Declare(Command command) => _options.AddTo(command);

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        using var session = RegCacheSession.Open(context, _options);
        if (_options.Run.Read(context.Arguments).DryRun)
        {
            DryRun.Print(context, session);
            return ExitCode.Success;
        }

        var result = new RegCachePipeline(session.Subject, session.Options, session.Directory, context.Cancellation).Run();
        session.ReportUnreadable();
        session.ReportExecution();
        session.Directory.WriteResult(SessionProvenance.Of(context, session, _options.Run.Read(context.Arguments)), result);
        FinalTable.Print(context.Console, result.Scores, session.Options.Bits);
        foreach (var line in result.Report.Lines())
        {
            context.Output.WriteLine(line);
        }

        return ExitCode.Success;
    }
}
