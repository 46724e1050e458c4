using System.CommandLine;
using RegCache.Lab.Data;

namespace RegCache.Lab.Cli.Options;

/// <summary>All options of the commands that run stages of RegCache.</summary>
internal sealed class SessionOptions
{
    public ModelOptions Model { get; } = new();

    public DataOptions Data { get; } = new();

    public BaselineOption Baseline { get; } = new();

    public RegCacheSettingsOptions Search { get; } = new();

    public RunOptions Run { get; } = new();

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        Model.AddTo(command);
        Model.AddClassifierTo(command);
        Data.AddTo(command, DataVariable.ImageNetValidation, DataVariable.TrainSample);
        Baseline.AddTo(command);
        Search.AddQuantizerTo(command);
        Search.AddSearchTo(command);
        Run.AddTo(command);
    }
}
