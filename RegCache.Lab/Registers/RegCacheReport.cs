using System.Globalization;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Registers;

/// <summary>The result of a pipeline run, as its ten greppable lines <c>key : value</c> (regcache.md, section 9).</summary>
/// <param name="SensitiveBlock">Quantization-sensitive block k.</param>
/// <param name="SensitiveLayer">Full name of the quantization-sensitive layer.</param>
/// <param name="Candidates">Prefix-extraction block candidates.</param>
/// <param name="Selected">The selected setting.</param>
/// <param name="PrefixAddBlocks">The blocks that see the prefix.</param>
/// <param name="SearchAccuracy">Top-1 accuracy of the selected setting on the search set, percent.</param>
/// <param name="ResultCsv">Path of the final result table.</param>
public sealed record RegCacheReport(
    int SensitiveBlock,
    string SensitiveLayer,
    ValueList<int> Candidates,
    RegCacheSetting Selected,
    ValueList<int> PrefixAddBlocks,
    double SearchAccuracy,
    string ResultCsv)
{
    private const int KeyWidth = 38;

    /// <summary>The ten lines, in the published order.</summary>
    public IReadOnlyList<string> Lines()
    {
        static string Line(string key, object value) =>
            string.Create(CultureInfo.InvariantCulture, $"{key.PadRight(KeyWidth)}: {value}");
        return
        [
            Line("quantization-sensitive block k", SensitiveBlock),
            Line("quantization-sensitive layer", SensitiveLayer),
            Line("prefix-extraction block candidates", string.Join(',', Candidates)),
            Line("selected prefix-extraction block", Selected.ExtractionBlock),
            Line("selected prefix-add blocks", string.Join(',', PrefixAddBlocks)),
            Line("selected prefix token count", Selected.PrefixCount),
            Line("selected token-delete block", Selected.DeleteBlock),
            Line("selected token-delete count", Selected.DeleteCount),
            Line("search accuracy", SearchAccuracy.ToString("0.00", CultureInfo.InvariantCulture)),
            Line("final result CSV", ResultCsv),
        ];
    }
}
