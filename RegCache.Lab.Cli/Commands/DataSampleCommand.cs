using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Draws the two sets that RegCache takes from the training images.</summary>
internal sealed class DataSampleCommand : KitCommand
{
    private readonly DataOptions _data = new();

    private readonly Option<string?> _from = new("--from") { Description = "Training images, one folder a class. [default: $DATA_ROOT/train]", HelpName = "FOLDER" };

    private readonly Option<string?> _to = new("--to") { Description = "Folder in which the sets' folders are made. [default: $DATA_ROOT]", HelpName = "FOLDER" };

    private readonly Option<SampleSets> _sets = OptionOf.Choice(
        "--set",
        "Which set to make; each is the same whether or not the other one is made.",
        SampleSets.Both,
        ("both", SampleSets.Both),
        ("train-sample", SampleSets.TrainSample),
        ("calibration", SampleSets.Calibration));

    private readonly Option<int> _perClass = OptionOf.Number("--per-class", "Images of each class in the set for extraction and search.", 50, 1, 1_000_000);

    private readonly Option<int> _images = OptionOf.Number("--images", "Images in the calibration set.", 1024, 1, 10_000_000);

    private readonly Option<long> _seed = OptionOf.Number("--seed", "Seed of the drawing.", 0L, 0L, long.MaxValue);

    private readonly Option<SampleMode> _mode = OptionOf.Choice(
        "--mode",
        "Symbolic links to the training images, copies of them, or their list alone.",
        SampleMode.Link,
        ("link", SampleMode.Link),
        ("copy", SampleMode.Copy),
        ("list", SampleMode.List));

    private enum SampleSets
    {
        Both,
        TrainSample,
        Calibration,
    }

    /// <inheritdoc/>
    public override string Path => "data sample";

    /// <inheritdoc/>
    public override string Description =>
        "Draws RegCache's two sets from a folder of training images: 50 of each class for extraction and search, and 1024 for calibration.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _data.AddTo(command, DataVariable.DataRoot);
        foreach (var option in new Option[] { _from, _to, _sets, _perClass, _images, _seed, _mode })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var locations = _data.Read(arguments);
        var from = arguments.GetValue(_from) ?? System.IO.Path.Combine(locations.Require(DataVariable.DataRoot), "train");
        var to = arguments.GetValue(_to) ?? locations.Require(DataVariable.DataRoot);
        var options = new TrainingSampleOptions(arguments.GetValue(_perClass), arguments.GetValue(_images), arguments.GetValue(_seed));
        using var source = ClassFolderDataset.OpenClasses(from);
        source.Inventory.Tell(context.Progress);
        var sample = TrainingSample.Draw(source, options, context.Progress, context.Cancellation);
        foreach (var note in sample.Notes)
        {
            context.Progress.Message(note);
        }

        var sets = arguments.GetValue(_sets);
        var table = new Table().AddColumns("set", "variable", "images", "written now", "folder");
        void Make(string name, DataVariable variable, string folder, IReadOnlyList<string> images, string title)
        {
            var place = new SampleFolder(from, System.IO.Path.Combine(to, folder), images, title);
            var written = place.Write(arguments.GetValue(_mode), context.Progress, context.Cancellation);
            table.AddRow(name, variable.Name, $"{images.Count:N0}", $"{written:N0}", Markup.Escape(arguments.GetValue(_mode) == SampleMode.List ? place.ListFile : place.Folder));
        }

        if (sets is SampleSets.Both or SampleSets.TrainSample)
        {
            Make(
                "train-sample", DataVariable.TrainSample, $"train_sample_{options.PerClass}_per_class", sample.Search,
                $"{options.PerClass} images of each class, seed {options.Seed}");
        }

        if (sets is SampleSets.Both or SampleSets.Calibration)
        {
            Make(
                "calibration", DataVariable.Calibration, $"{options.Calibration}calib_train", sample.CalibrationImages,
                $"{options.Calibration} images of all classes, first those outside the sample of {options.PerClass} of each class, seed {options.Seed}");
        }

        context.Console.Write(table);
        return ExitCode.Success;
    }
}
