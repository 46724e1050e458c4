using System.CommandLine;
using RegCache.Lab.Cli.Demo;
using RegCache.Lab.Registers;

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

    private readonly Option<string?> _baseline = new("--baseline")
    {
        Description = "Quantizer that RegCache is applied to. [default: $BASELINE, else naive]",
        HelpName = string.Join('|', BaselineNames.All),
    };

    private readonly Option<string?> _bits = new("--bits") { Description = "Bit-widths. [default: W8A8]", HelpName = "WwAa" };

    /// <inheritdoc/>
    public override string Path => "demo";

    /// <inheritdoc/>
    public override string Description => "Runs the whole pipeline on a small model with planted outlier tokens.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        command.Add(_out);
        command.Add(_baseline);
        command.Add(_bits);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var folder = context.Arguments.GetRequiredValue(_out);
        context.Progress.Message($"The demo's model and images go to {folder}.");
        var demo = PlantedDemo.Write(folder, PlantedDemo.FindSource());
        var pipeline = new PipelineCommand();
        var command = new Command(pipeline.Path);
        pipeline.Declare(command);
        var baseline = context.Arguments.GetValue(_baseline);
        var bits = context.Arguments.GetValue(_bits) ?? demo.Bits.ToString();
        var run = System.IO.Path.Combine(folder, $"run-{baseline ?? "default"}-{bits}");
        var parsed = command.Parse(
            [.. demo.PipelineArguments, "--bits", bits, "--run-dir", run, .. baseline is null ? Array.Empty<string>() : ["--baseline", baseline]]);
        return parsed.Errors.Count == 0
            ? pipeline.Run(context with { Arguments = parsed })
            : throw new UserException(parsed.Errors[0].Message);
    }
}
