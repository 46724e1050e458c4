using System.CommandLine;
using RegCache.Lab.Data.Manifests;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Which manifests a command reads.</summary>
internal sealed class ManifestOptions
{
    private readonly Option<string?> _folder = new("--manifests")
    {
        Description = $"Folder with manifests of your own, beside the kit's. [default: ${DatasetManifests.FolderVariable}]",
        HelpName = "FOLDER",
    };

    private readonly Argument<string> _name = new("NAME") { Description = "Name of a data set; 'regcache data list' tells them." };

    /// <summary>Adds the option to a command.</summary>
    public void AddTo(Command command) => command.Add(_folder);

    /// <summary>Adds the option and the name of one data set.</summary>
    public void AddOneTo(Command command)
    {
        command.Add(_name);
        command.Add(_folder);
    }

    /// <summary>All manifests.</summary>
    public DatasetManifests Read(ParseResult arguments) => DatasetManifests.Load(arguments.GetValue(_folder));

    /// <summary>The one that is named.</summary>
    public DatasetManifest ReadOne(ParseResult arguments) => Read(arguments).Find(arguments.GetRequiredValue(_name));
}

/// <summary>A table of all data sets that have a manifest.</summary>
internal sealed class DataListCommand : KitCommand
{
    private readonly ManifestOptions _manifests = new();

    /// <inheritdoc/>
    public override string Path => "data list";

    /// <inheritdoc/>
    public override string Description => "Lists the data sets that the kit knows, and which of them are on this machine.";

    /// <inheritdoc/>
    public override void Declare(Command command) => _manifests.AddTo(command);

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var table = new Table().AddColumns("name", "data set", "splits", "variable", "on this machine");
        foreach (var manifest in _manifests.Read(context.Arguments))
        {
            var here = manifest.Splits.Where(split => DatasetReaders.Generates(split)
                || DatasetPlace.Find(manifest, split, root: null, Environment.GetEnvironmentVariable) is { Exists: true });
            table.AddRow(new[]
            {
                manifest.Name, manifest.Title, string.Join(", ", manifest.Splits.Select(split => split.Name)), manifest.Variable ?? "",
                string.Join(", ", here.Select(split => split.Name)),
            }.Select(Markup.Escape).ToArray());
        }

        context.Console.Write(table);
        context.Output.WriteLine("'regcache data show NAME' tells more, 'regcache data check NAME' looks whether all of it is there.");
        return ExitCode.Success;
    }
}

/// <summary>All that a manifest says.</summary>
internal sealed class DataShowCommand : KitCommand
{
    private readonly ManifestOptions _manifests = new();

    /// <inheritdoc/>
    public override string Path => "data show";

    /// <inheritdoc/>
    public override string Description => "Tells where a data set comes from, how it has to lie, and how much of it there should be.";

    /// <inheritdoc/>
    public override void Declare(Command command) => _manifests.AddOneTo(command);

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var manifest = _manifests.ReadOne(context.Arguments);
        void Line(string what, string? value)
        {
            if (value is not null)
            {
                context.Output.WriteLine($"{what,-11}: {value}");
            }
        }

        Line("name", manifest.Name);
        Line("data set", manifest.Title);
        Line("purpose", manifest.Purpose);
        Line("home page", manifest.HomePage);
        Line("licence", manifest.Licence.Url is { } url ? $"{manifest.Licence.Name} ({url})" : manifest.Licence.Name);
        Line("citation", manifest.Citation);
        Line("manifest", manifest.File);
        Line("variable", manifest.Variable is { } variable ? $"{variable}, the root folder ({(Environment.GetEnvironmentVariable(variable) is { Length: > 0 } root ? root : "not set")})" : null);
        foreach (var (index, example) in manifest.Layout.Index())
        {
            context.Output.WriteLine($"{(index == 0 ? "layout" : ""),-11}{(index == 0 ? ":" : " ")} {example}");
        }

        Line("classes", manifest.ClassNames is { } names ? $"{names.Count}; names from {names.Source}" : null);
        Line("", manifest.ClassNames?.Names is { } list ? string.Join(", ", list) : null);
        foreach (var (index, sum) in manifest.Checksums.Index())
        {
            context.Output.WriteLine($"{(index == 0 ? "checksums" : ""),-11}{(index == 0 ? ":" : " ")} {(sum.Md5 is { } md5 ? $"md5 {md5}" : $"sha256 {sum.Sha256}")}  {sum.Path}");
        }

        Line("", manifest.ChecksumSource is { } source ? $"published by {source}" : null);
        PrintSplits(context, manifest);
        return ExitCode.Success;
    }

    private static void PrintSplits(CommandContext context, DatasetManifest manifest)
    {
        var table = new Table().AddColumns("split", "purpose", "reader", "where", "expected");
        foreach (var split in manifest.Splits)
        {
            var place = DatasetPlace.Find(manifest, split, root: null, Environment.GetEnvironmentVariable);
            var where = DatasetReaders.Generates(split) ? "generated"
                : place is { } known ? known.Exists ? known.Path : $"{known.Path} (not there)"
                : $"{(split.Variable is { } variable ? $"${variable}, else " : "")}{(manifest.Variable is { } root ? $"${root}" : "--root")}{(split.Path is { } path ? $"/{path}" : "")}";
            table.AddRow(new[]
            {
                split.Optional ? $"{split.Name} (optional)" : split.Name, split.Purpose, split.Reader, where,
                string.Join("\n", split.Counts.Select(count => $"{count.Value:N0} {count.Key.Replace('_', ' ')}")),
            }.Select(Markup.Escape).ToArray());
        }

        context.Console.Write(table);
    }
}
