using System.CommandLine;
using RegCache.Lab.Data;
using RegCache.Lab.Quantization;

namespace RegCache.Lab.Cli.Options;

/// <summary>All options of the commands that run stages of RegCache.</summary>
/// <param name="needsSearchImages">Whether the command reads the search set and searches, or only evaluates.</param>
internal sealed class SessionOptions(bool needsSearchImages = true)
{
    public bool NeedsSearchImages => needsSearchImages;

    public ModelOptions Model { get; } = new();

    public DataOptions Data { get; } = new();

    public BaselineOption Baseline { get; } = new();

    public RegCacheSettingsOptions Search { get; } = new();

    public MethodOptions Quantizer { get; } = new("--baseline", QuantizerFamilies.All);

    public ExecutionOption Execution { get; } = new();

    public RunOptions Run { get; } = new();

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        Model.AddTo(command);
        Model.AddClassifierTo(command);
        Baseline.AddTo(command);
        Search.AddTo(command);
        Quantizer.AddTo(command);
        Execution.AddTo(command);
        Run.AddTo(command);
        if (needsSearchImages)
        {
            Data.AddTo(command, DataVariable.ImageNetValidation, DataVariable.TrainSample, DataVariable.Calibration);
            Search.AddSearchTo(command);
        }
        else
        {
            Data.AddTo(command, DataVariable.ImageNetValidation, DataVariable.Calibration);
        }
    }
}
