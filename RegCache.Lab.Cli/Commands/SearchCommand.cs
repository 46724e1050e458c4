using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Stages 1 to 5: the search of prefix and delete counts.</summary>
internal sealed class SearchCommand : KitCommand
{
    private readonly SessionOptions _options = new();

    /// <inheritdoc/>
    public override string Path => "search";

    /// <inheritdoc/>
    public override string Description => "Searches extraction block, prefix count and delete count; uses the prefixes of `extract` when they are there.";

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

        var grid = new RegCachePipeline(session.Subject, session.Options, session.Directory, context.Cancellation).Search();
        session.ReportUnreadable();
        session.ReportExecution();
        var best = grid.Best(session.Options.SearchMetric);
        context.Output.WriteLine($"selected prefix-extraction block      : {best.ExtractionBlock}");
        context.Output.WriteLine($"selected prefix token count           : {best.PrefixCount}");
        context.Output.WriteLine($"selected token-delete block           : {grid.DeleteBlock}");
        context.Output.WriteLine($"selected token-delete count           : {best.DeleteCount}");
        context.Output.WriteLine($"search accuracy                       : {100.0 * best.Correct / grid.Images:0.00}");
        context.Output.WriteLine($"scores of all settings                : {session.Directory.PathOf("stage5_grid.csv")}");
        return ExitCode.Success;
    }
}
