using System.CommandLine;
using RegCache.Lab.Cli.Demo;

namespace RegCache.Lab.Cli.Commands;

/// <summary>The whole pipeline on a small model and images made on the spot.</summary>
internal sealed class DemoCommand : KitCommand
{
    private readonly Option<string> _out = new("--out")
    {
        Description = "Folder for the demo's model, images and results.",
        HelpName = "FOLDER",
        DefaultValueFactory = _ => System.IO.Path.Combine("artifacts", "demo"),
    };

    /// <inheritdoc/>
    public override string Path => "demo";

    /// <inheritdoc/>
    public override string Description => "Runs the whole pipeline on a small model with planted outlier tokens.";

    /// <inheritdoc/>
    public override void Declare(Command command) => command.Add(_out);

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var folder = context.Arguments.GetRequiredValue(_out);
        context.Progress.Message($"The demo's model and images go to {folder}.");
        var demo = PlantedDemo.Write(folder);
        var pipeline = new PipelineCommand();
        var command = new Command(pipeline.Path);
        pipeline.Declare(command);
        return pipeline.Run(context with { Arguments = command.Parse(demo.PipelineArguments) });
    }
}
