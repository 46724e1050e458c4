namespace RegCache.Lab.Encoders;

/// <summary>Multi-head attention in float.</summary>
public sealed class Attention : IAttention
{
    /// <summary>The one instance: float attention has no state.</summary>
    public static Attention Float { get; } = new();

    /// <inheritdoc />
    public Tensor Apply(Tensor query, Tensor key, Tensor value, AttentionExtras extras, BlockProbe probe)
    {
        using var scope = torch.NewDisposeScope();
        var keys = Prepend(extras.PrefixKeys, key);
        var values = Prepend(extras.PrefixValues, value);
        var logits = ScaledProducts(query, keys);
        if (extras.Bias is { } bias)
        {
            logits = logits + PadColumns(bias, extras.PrefixKeys);
        }

        var probabilities = logits.softmax(-1);
        probe.Observe(ActivationKind.AttentionProbabilities, probabilities);
        return probabilities.matmul(values).MoveToOuterDisposeScope();
    }

    // The batched product reads the transposed keys in place, where matmul would copy them. (baddbmm could scale as it
    // goes, but libtorch 1.13 multiplies uninitialised memory by beta = 0 for small matrices.)
    private static Tensor ScaledProducts(Tensor query, Tensor keys)
    {
        var (images, heads, rows, width) = (query.shape[0], query.shape[1], query.shape[2], query.shape[3]);
        using var scaled = query * (1 / Math.Sqrt(width));
        return torch.bmm(
            scaled.reshape(images * heads, rows, width),
            keys.reshape(images * heads, -1, width).transpose(1, 2)).view(images, heads, rows, -1);
    }

    /// <summary>Puts prefix rows [H,P,d] in front of rows [B,H,N,d].</summary>
    internal static Tensor Prepend(Tensor? prefix, Tensor rows) => prefix is null
        ? rows
        : torch.cat([prefix.to(rows.dtype).unsqueeze(0).expand(rows.shape[0], -1, -1, -1), rows], 2);

    /// <summary>Extends a bias over the block's own columns by zeros for the prefix columns in front.</summary>
    internal static Tensor PadColumns(Tensor bias, Tensor? prefix) => prefix is null
        ? bias
        : torch.nn.functional.pad(bias, [prefix.shape[1], 0]);
}
