using System.CommandLine;
using RegCache.Lab.Quantization;

namespace RegCache.Lab.Cli.Options;

/// <summary>
/// The family of quantizers: <c>--baseline</c>, else the environment variable BASELINE, else <c>naive</c>. An unknown one is
/// refused while the command line is parsed, before anything is loaded.
/// </summary>
internal sealed class BaselineOption
{
    private const string Variable = "BASELINE";

    private readonly Option<QuantizerFamily> _baseline = new("--baseline")
    {
        Description = "Quantizer that RegCache is applied to. "
            + string.Join(' ', QuantizerFamilies.All.Select(family => family.Help))
            + $" [default: ${Variable}, else {NaiveFamily.Name}]",
        HelpName = string.Join('|', QuantizerFamilies.All.Names),
        CustomParser = result => OptionOf.Parse(result, Find),
    };

    // The published scripts read PYTHON; there is no Python here.
    private readonly Option<string?> _python = new("--python") { Hidden = true };

    /// <summary>Adds the option to a command.</summary>
    public void AddTo(Command command)
    {
        _baseline.CompletionSources.Add([.. QuantizerFamilies.All.Names]);
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

    /// <summary>The family that was chosen.</summary>
    public QuantizerFamily Read(ParseResult arguments) => arguments.GetValue(_baseline) ?? FromEnvironment();

    private static QuantizerFamily FromEnvironment() =>
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } name ? Find(name) : NaiveFamily.Entry;

    // The message says where the name can have come from.
    private static QuantizerFamily Find(string name) => QuantizerFamilies.All.FirstOrDefault(family => family.Name == name)
        ?? throw new UserException(
            $"The baseline '{name}' (--baseline, {Variable}) is unknown: it must be exactly one of {string.Join(", ", QuantizerFamilies.All.Names)}.");
}
