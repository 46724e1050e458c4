using System.CommandLine;
using RegCache.Lab.Quantization.Integer;

namespace RegCache.Lab.Cli.Options;

/// <summary>How quantized layers are carried out.</summary>
internal sealed class ExecutionOption
{
    private readonly Option<ExecutionMode?> _execution = new("--execution")
    {
        Description = "Quantized layers with values of integers in float, or in 8-bit integers. [default: integer at W8A8 on the CPU where it is available]",
        HelpName = "simulated|integer",
        CustomParser = result => OptionOf.Parse<ExecutionMode?>(result, text => text switch
        {
            "simulated" => ExecutionMode.Simulated,
            "integer" => ExecutionMode.Integer,
            _ => throw new UserException($"--execution must be simulated or integer, not '{text}'"),
        }),
    };

    /// <summary>Adds it to a command.</summary>
    public void AddTo(Command command) => command.Add(_execution);

    /// <summary>What the user asks for; null leaves it to the kit.</summary>
    public ExecutionMode? Read(ParseResult arguments) => arguments.GetValue(_execution);

    /// <summary>The words of a command line that ask for the same.</summary>
    public string[] Words(ParseResult arguments) =>
        Read(arguments) is { } mode ? ["--execution", mode.ToString().ToLowerInvariant()] : [];
}
