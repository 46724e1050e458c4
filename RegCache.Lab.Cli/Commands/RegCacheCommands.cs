using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Commands;

/// <summary>A command that runs stages of RegCache.</summary>
internal abstract class RegCacheCommand : KitCommand
{
    private readonly PipelineOptions _options = new();

    /// <inheritdoc/>
    public sealed override bool SharesWork => true;

    /// <inheritdoc/>
    public sealed override void Declare(Command command) => _options.AddTo(command);

    /// <inheritdoc/>
    public sealed override int Run(CommandContext context)
    {
        using var experiment = _options.Open(context);
        var options = _options.ReadSearch(context.Arguments);
        var pipeline = new RegCachePipeline(experiment, options);
        if (_options.IsDryRun(context.Arguments))
        {
            DryRun.Print(context, experiment, options);
        }
        else
        {
            Run(context, experiment, options, pipeline);
        }

        return ExitCode.Success;
    }

    /// <summary>Runs the stages and tells the result.</summary>
    protected abstract void Run(CommandContext context, Experiment experiment, RegCacheOptions options, RegCachePipeline pipeline);
}

/// <summary>All six stages of RegCache.</summary>
internal sealed class PipelineCommand : RegCacheCommand
{
    /// <inheritdoc/>
    public override string Path => "pipeline";

    /// <inheritdoc/>
    public override string Description =>
        "Runs RegCache: sensitive block, register candidates, averaged prefix, search of prefix and delete counts, evaluation.";

    /// <inheritdoc/>
    protected override void Run(CommandContext context, Experiment experiment, RegCacheOptions options, RegCachePipeline pipeline)
    {
        var result = pipeline.Run();
        experiment.TellRemarks();
        experiment.WriteResult(context.CommandLine, $"{experiment.Calibrator(options.Bits)}; {options}", result);
        ResultTables.PrintFinal(context.Console, result.Scores, options.Bits);
        foreach (var line in result.Report.Lines())
        {
            context.Output.WriteLine(line);
        }
    }
}

/// <summary>Stages 1 to 4: register candidates and averaged prefixes.</summary>
internal sealed class ExtractCommand : RegCacheCommand
{
    /// <inheritdoc/>
    public override string Path => "extract";

    /// <inheritdoc/>
    public override string Description => "Finds the sensitive block and its candidate blocks, and averages their register tokens to prefixes.";

    /// <inheritdoc/>
    protected override void Run(CommandContext context, Experiment experiment, RegCacheOptions options, RegCachePipeline pipeline)
    {
        var sensitive = pipeline.Extract();
        experiment.TellRemarks();
        context.Output.WriteLine($"quantization-sensitive block k        : {sensitive.Block}");
        context.Output.WriteLine($"prefixes                              : {pipeline.PrefixFolder}");
    }
}

/// <summary>Stages 1 to 5: the search of prefix and delete counts.</summary>
internal sealed class SearchCommand : RegCacheCommand
{
    /// <inheritdoc/>
    public override string Path => "search";

    /// <inheritdoc/>
    public override string Description => "Searches extraction block, prefix count and delete count; uses the prefixes of `extract` when they are there.";

    /// <inheritdoc/>
    protected override void Run(CommandContext context, Experiment experiment, RegCacheOptions options, RegCachePipeline pipeline)
    {
        var grid = pipeline.Search();
        experiment.TellRemarks();
        var best = grid.Best(options.SearchMetric);
        context.Output.WriteLine($"selected prefix-extraction block      : {best.ExtractionBlock}");
        context.Output.WriteLine($"selected prefix token count           : {best.PrefixCount}");
        context.Output.WriteLine($"selected token-delete block           : {grid.DeleteBlock}");
        context.Output.WriteLine($"selected token-delete count           : {best.DeleteCount}");
        context.Output.WriteLine($"search accuracy                       : {100.0 * best.Correct / grid.Images:0.00}");
        context.Output.WriteLine($"scores of all settings                : {experiment.Directory.PathOf("stage5_grid.csv")}");
    }
}
