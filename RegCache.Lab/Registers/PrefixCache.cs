using System.Security.Cryptography;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Registers;

/// <summary>
/// The averaged register of one extraction block: a key and a value row for every block from there on
/// (regcache.md, section 7).
/// </summary>
/// <param name="ExtractionBlock">Block t at whose input the tokens were ranked.</param>
/// <param name="Tokens">The tokens that were averaged, best first.</param>
/// <param name="Keys">Mean key of blocks t.. [L-t,C], float32.</param>
/// <param name="Values">Mean value of blocks t.. [L-t,C], float32.</param>
/// <param name="Hidden">Mean residual row entering blocks t.. [L-t,C], float32; for diagnosis.</param>
public sealed record PrefixCache(
    int ExtractionBlock, ValueList<OutlierToken> Tokens, Tensor Keys, Tensor Values, Tensor Hidden) : IDisposable
{
    /// <summary>Reads a prefix that `extract` wrote.</summary>
    /// <exception cref="UserException">The file is missing, damaged, or no prefix file.</exception>
    public static PrefixCache Load(string path) => PrefixCacheFile.Load(path);

    /// <summary>The prefix that a plan plugs into the attention of blocks.</summary>
    /// <param name="device">Where the encoder runs.</param>
    public RegisterPrefix ToPrefix(torch.Device device)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Keys.bytes);
        hash.AppendData(Values.bytes);
        var id = $"t{ExtractionBlock}-{Convert.ToHexStringLower(hash.GetHashAndReset())[..16]}";
        Tensor Row(Tensor rows, int index) => rows[index].to(device).DetachFromDisposeScope();
        return new(
            id,
            Enumerable.Range(0, (int)Keys.shape[0]).ToDictionary(
                index => ExtractionBlock + index, index => (Row(Keys, index), Row(Values, index))));
    }

    /// <inheritdoc />
    public void Dispose()
    {
        Keys.Dispose();
        Values.Dispose();
        Hidden.Dispose();
    }
}
