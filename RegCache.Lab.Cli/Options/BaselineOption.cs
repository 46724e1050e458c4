using System.CommandLine;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Options;

/// <summary>
/// The baseline: <c>--baseline</c>, else the environment variable BASELINE, else <c>naive</c>. An unknown one is refused while
/// the command line is parsed, before anything is loaded (regcache.md 10.3).
/// </summary>
internal sealed class BaselineOption
{
    private const string Variable = "BASELINE";

    private readonly Option<Baseline> _baseline = new("--baseline")
    {
        Description = $"Quantizer that RegCache is applied to. [default: ${Variable}, else naive]",
        HelpName = string.Join('|', BaselineNames.All),
        CustomParser = result => OptionOf.Parse(result, BaselineNames.Parse),
    };

    // The published scripts read PYTHON; there is no Python here.
    private readonly Option<string?> _python = new("--python") { Hidden = true };

    /// <summary>Adds the option to a command.</summary>
    public void AddTo(Command command)
    {
        _baseline.CompletionSources.Add([.. BaselineNames.All]);
        command.Add(_baseline);
        command.Add(_python);
        command.Validators.Add(result =>
        {
            try
            {
                if (result.GetResult(_baseline) is null)
                {
                    FromEnvironment();
                }
            }
            catch (UserException exception)
            {
                result.AddError(exception.Message);
            }
        });
    }

    /// <summary>The baseline that was chosen.</summary>
    public Baseline Read(ParseResult arguments) =>
        arguments.GetResult(_baseline) is null ? FromEnvironment() : arguments.GetValue(_baseline);

    private static Baseline FromEnvironment() =>
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } name ? BaselineNames.Parse(name) : Baseline.Naive;
}
