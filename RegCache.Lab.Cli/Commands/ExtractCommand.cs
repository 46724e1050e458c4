using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Stages 1 to 4: register candidates and averaged prefixes.</summary>
internal sealed class ExtractCommand : KitCommand
{
    private readonly SessionOptions _options = new();

    /// <inheritdoc/>
    public override string Path => "extract";

    /// <inheritdoc/>
    public override string Description => "Finds the sensitive block and its candidate blocks, and averages their register tokens to prefixes.";

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

        var sensitive = new RegCachePipeline(session.Subject, session.Options, session.Directory, context.Cancellation).Extract();
        session.ReportUnreadable();
        context.Output.WriteLine($"quantization-sensitive block k        : {sensitive.Block}");
        context.Output.WriteLine($"prefixes                              : {session.Directory.PathOf(session.Subject.PrefixFolder)}");
        return ExitCode.Success;
    }
}
