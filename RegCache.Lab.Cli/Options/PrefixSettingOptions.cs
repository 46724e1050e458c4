using System.CommandLine;
using RegCache.Lab.Encoders;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Options;

/// <summary>One RegCache setting by options: a prefix file, how often it is repeated, and what is deleted where.</summary>
internal sealed class PrefixSettingOptions
{
    private readonly Option<string?> _prefix = new("--prefix")
    {
        Description = "Prefix file that `extract` wrote; without one no prefix joins.",
        HelpName = "FILE",
    };

    private readonly Option<int> _prefixCount = OptionOf.Number("--prefix-count", "Prefix tokens.", 1, 1, 4096);

    private readonly Option<int?> _deleteBlock = OptionOf.OptionalNumber("--delete-block", "Block before which tokens are deleted.", 0, 4096);

    private readonly Option<int> _deleteCount = OptionOf.Number("--delete-count", "Deleted tokens.", 0, 0, 65536);

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _prefix, _prefixCount, _deleteBlock, _deleteCount })
        {
            command.Add(option);
        }
    }

    /// <summary>The prefix file's content, which the caller disposes; null without one.</summary>
    /// <exception cref="UserException">The file is missing or no prefix file.</exception>
    public PrefixCache? LoadPrefix(ParseResult arguments) =>
        arguments.GetValue(_prefix) is { } path ? PrefixCache.Load(path) : null;

    /// <summary>The setting.</summary>
    /// <exception cref="UserException">It does not fit the model.</exception>
    public RegCacheSetting Read(ParseResult arguments, PrefixCache? cache, VisionTower tower)
    {
        var (layers, deleteCount) = (tower.Blocks.Count, arguments.GetValue(_deleteCount));
        var deleteBlock = arguments.GetValue(_deleteBlock);
        if (deleteCount > 0 && deleteBlock is null)
        {
            throw new UserException($"--delete-count {deleteCount}: say before which block (--delete-block K, 0 to {layers - 1}).");
        }

        if (deleteBlock >= layers || deleteCount >= tower.Config.Patches)
        {
            throw new UserException(
                $"--delete-block {deleteBlock} --delete-count {deleteCount}: the model has {layers} blocks and {tower.Config.Patches} patch tokens; choose smaller numbers.");
        }

        if (cache is not null && (cache.ExtractionBlock + cache.Keys.shape[0] != layers || cache.Keys.shape[1] != tower.Config.Width))
        {
            throw new UserException(
                $"The prefix is for {cache.ExtractionBlock + cache.Keys.shape[0]} blocks of width {cache.Keys.shape[1]}, but the model has {layers} of width {tower.Config.Width}; extract one with this model.");
        }

        return new(cache?.ExtractionBlock ?? 0, cache is null ? 0 : arguments.GetValue(_prefixCount), deleteBlock ?? 0, deleteCount);
    }
}
