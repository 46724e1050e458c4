using System.CommandLine;
using RegCache.Lab.Data;

namespace RegCache.Lab.Cli.Options;

/// <summary>The places of data: environment variables with an option each that overrides them.</summary>
internal sealed class DataOptions
{
    private readonly Dictionary<DataVariable, Option<string?>> _options = [];

    private readonly Option<ImageOrder> _order = OptionOf.Choice(
        "--image-order",
        "Order of the images, which decides what shares a batch.",
        ImageOrder.Class,
        ("class", ImageOrder.Class),
        ("name", ImageOrder.Name));

    /// <summary>Adds the options of some variables to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="variables">The variables that the command needs; DATA_ROOT comes with those that have a default below it.</param>
    public void AddTo(Command command, params DataVariable[] variables)
    {
        var root = variables.Any(variable => variable.DefaultFolder is not null) ? new[] { DataVariable.DataRoot } : [];
        foreach (var variable in root.Concat(variables).Distinct())
        {
            var fallback = variable.DefaultFolder is { } folder ? $"${variable.Name}, else $DATA_ROOT/{folder}" : $"${variable.Name}";
            var option = new Option<string?>(variable.Option)
            {
                Description = variable.IsImageSet
                    ? $"{char.ToUpperInvariant(variable.Content[0])}{variable.Content[1..]}: {ImageSetFormats.AddressHelp}. [default: {fallback}]"
                    : $"Folder: {variable.Content}. [default: {fallback}]",
                HelpName = variable.IsImageSet ? "SET" : "FOLDER",
            };
            _options.Add(variable, option);
            command.AddGroup(OptionGroups.Data, option);
        }
    }

    /// <summary>Adds the option of the order of the images.</summary>
    public void AddOrderTo(Command command) => command.AddGroup(OptionGroups.Data, _order);

    /// <summary>Where the data lies, by the options and the environment of this process.</summary>
    public DataLocations Read(ParseResult arguments) => DataLocations.Resolve(
        variable => _options.TryGetValue(variable, out var option) ? arguments.GetValue(option) : null,
        Environment.GetEnvironmentVariable);

    /// <summary>The order of the images.</summary>
    public ImageOrder ReadOrder(ParseResult arguments) => arguments.GetValue(_order);
}
