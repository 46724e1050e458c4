using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Makes tables and tar shards for training of ShareGPT4V's list of captions and the images that it names.</summary>
internal sealed class DataMakeShareGpt4VCommand : KitCommand
{
    private readonly Option<string> _captions = new("--captions")
    {
        Description = "ShareGPT4V's list, share-captioner_coco_lcs_sam_1246k_1107.json.",
        HelpName = "FILE",
        Required = true,
    };

    private readonly Option<ShareGpt4VImages[]> _images = new("--images")
    {
        Description = "Folders of the images, tried in order: FOLDER, in which the list's paths begin (with or without their folder images), or SOURCE=FOLDER for those of one source (sam, coco, llava).",
        HelpName = "FOLDER...",
        AllowMultipleArgumentsPerToken = true,
        Required = true,
        CustomParser = result => [.. result.Tokens.Select(token => OptionOf.Parse(result, token.Value, ShareGpt4VImages.Parse)).OfType<ShareGpt4VImages>()],
    };

    private readonly Option<string> _out = new("--out") { Description = "Folder of the set.", HelpName = "FOLDER", Required = true };

    private readonly Option<int> _validation = OptionOf.Number("--val-count", "Entries at the list's beginning that are validation.", 1_000, 0, 10_000_000);

    private readonly Option<int> _shardSize = OptionOf.Number("--shard-size", "Pairs in a shard.", 10_000, 1, 10_000_000);

    private readonly Option<bool> _force = new("--force") { Description = "Replace shards of another list, other images or another size." };

    /// <inheritdoc/>
    public override string Path => "data make sharegpt4v";

    /// <inheritdoc/>
    public override string Description => "Makes training tables and tar shards of ShareGPT4V's captions and your copies of its images.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        foreach (var option in new Option[] { _captions, _images, _out, _validation, _shardSize, _force })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var output = arguments.GetRequiredValue(_out);
        var options = new ShareGpt4VOptions(arguments.GetRequiredValue(_captions), arguments.GetRequiredValue(_images), output)
        {
            ValidationEntries = arguments.GetValue(_validation),
            ShardSize = arguments.GetValue(_shardSize),
            Force = arguments.GetValue(_force),
        };
        var result = new ShareGpt4VConversion(options, context.Progress, context.Cancellation).Run();
        context.Output.WriteLine(
            $"{result.Training} training and {result.Validation} validation images in {result.Shards} shards in {output}; {result.Missing} images are missing");
        return ExitCode.Success;
    }
}
