using System.CommandLine;
using RegCache.Lab.Quantization;

namespace RegCache.Lab.Cli.Options;

/// <summary>
/// The family of quantizers: <c>--baseline</c>, else the environment variable BASELINE, else <c>naive</c>. An unknown one is
/// refused while the command line is parsed, before anything is loaded.
/// </summary>
/// <param name="none">Whether the command also runs without a quantizer: <c>--baseline none</c>.</param>
internal sealed class BaselineOption(NoQuantizer none = NoQuantizer.Refused)
{
    private const string Variable = "BASELINE";
    private const string None = "none";

    private readonly Option<string?> _baseline = new("--baseline")
    {
        Description = (none == NoQuantizer.Refused ? "Quantizer that RegCache is applied to. " : "Quantizer of the image encoder. none: it runs in float. ")
            + string.Join(' ', QuantizerFamilies.All.Select(family => family.Help))
            + (none == NoQuantizer.Usual ? $" [default: {None}]" : $" [default: ${Variable}, else {NaiveFamily.Name}]"),
        HelpName = string.Join('|', Names(none)),
        CustomParser = result => OptionOf.Parse(result, name =>
        {
            Find(name, none);
            return name;
        }),
    };

    // The published scripts read PYTHON; there is no Python here.
    private readonly Option<string?> _python = new("--python") { Hidden = true };

    /// <summary>Adds the option to a command.</summary>
    public void AddTo(Command command)
    {
        _baseline.CompletionSources.Add([.. Names(none)]);
        command.Add(_baseline);
        command.Add(_python);
        command.Validators.Add(result =>
        {
            try
            {
                if (result.GetResult(_baseline) is null)
                {
                    Find(WhenAbsent(), none);
                }
            }
            catch (UserException exception)
            {
                result.AddError(exception.Message);
            }
        });
    }

    /// <summary>The family that was chosen.</summary>
    /// <exception cref="InvalidOperationException">None was, in a command that runs without one, too.</exception>
    public QuantizerFamily Read(ParseResult arguments) =>
        ReadOrNone(arguments) ?? throw new InvalidOperationException("The command runs without a quantizer, too.");

    /// <summary>The family that was chosen; null: the encoder runs in float.</summary>
    public QuantizerFamily? ReadOrNone(ParseResult arguments) => Find(arguments.GetValue(_baseline) ?? WhenAbsent(), none);

    private static IEnumerable<string> Names(NoQuantizer none) =>
        none == NoQuantizer.Refused ? QuantizerFamilies.All.Names : [None, .. QuantizerFamilies.All.Names];

    // The message says where the name can have come from.
    private static QuantizerFamily? Find(string name, NoQuantizer none) => name == None && none != NoQuantizer.Refused
        ? null
        : QuantizerFamilies.All.FirstOrDefault(family => family.Name == name) ?? throw new UserException(
            $"The baseline '{name}' (--baseline, {Variable}) is unknown: it must be exactly one of {string.Join(", ", Names(none))}.");

    private string WhenAbsent() =>
        none == NoQuantizer.Usual ? None
        : Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } name ? name
        : NaiveFamily.Name;
}

/// <summary>What a command makes of <c>--baseline none</c>.</summary>
internal enum NoQuantizer
{
    /// <summary>It needs a quantizer.</summary>
    Refused,

    /// <summary>It runs in float then.</summary>
    Allowed,

    /// <summary>It runs in float then, and when nothing is said, whatever the environment says.</summary>
    Usual,
}
