using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data.Shapes;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Writes the generated image set to files.</summary>
internal sealed class DataMakeShapesCommand : KitCommand
{
    private readonly Option<string> _out = new("--out") { Description = "Folder of the data set.", HelpName = "FOLDER", Required = true };

    private readonly Option<ShapesSplit> _split = OptionOf.Choice(
        "--split",
        "The part of the set; of --format cifar train and test unless it is given.",
        ShapesSplit.Train,
        [.. Enum.GetValues<ShapesSplit>().Select(split => (split.ToString().ToLowerInvariant(), split))]);

    private readonly Option<int?> _count = OptionOf.OptionalNumber("--count", "Number of images. [default: the split's usual number]", 1, 10_000_000);

    private readonly Option<ShapesFormat> _format = OptionOf.Choice(
        "--format",
        "folders: one a class, images of one object only. coco: captions and Karpathy splits as JSON. webdataset: tar shards. cifar: CIFAR-10's binary files of 32 x 32 pixels.",
        ShapesFormat.Folders,
        [.. Enum.GetValues<ShapesFormat>().Select(format => (format.ToString().ToLowerInvariant(), format))]);

    private readonly Option<long> _seed = OptionOf.Number("--seed", "Seed of the set; the kit's own results use 0.", 0L, 0L, long.MaxValue);

    private readonly Option<int?> _threads = OptionOf.Threads();

    /// <inheritdoc/>
    public override string Path => "data make shapes";

    /// <inheritdoc/>
    public override string Description => "Generates captioned images of coloured shapes, the kit's own data set.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        foreach (var option in new Option[] { _out, _split, _count, _format, _seed, _threads })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var (format, folder) = (arguments.GetValue(_format), arguments.GetRequiredValue(_out));
        var given = arguments.GetResult(_split) is { Implicit: false };

        // A reader of CIFAR expects both of its parts.
        ShapesSplit[] splits = format == ShapesFormat.Cifar && !given ? [ShapesSplit.Train, ShapesSplit.Test] : [arguments.GetValue(_split)];
        foreach (var split in splits)
        {
            var count = split == splits[0] ? arguments.GetValue(_count) : null;
            var set = ShapesSet.Generate(
                split, count ?? ShapesSet.DefaultCount(split), arguments.GetValue(_seed), arguments.GetValue(_threads) ?? 0, context.Cancellation);
            var written = ShapesExport.Write(set, folder, format, context.Progress, context.Cancellation);
            context.Output.WriteLine($"{written} images of the split {split.ToString().ToLowerInvariant()} in {folder}");
        }

        return ExitCode.Success;
    }
}
