namespace RegCache.Lab.Encoders;

/// <summary>Rows of token sequences, picked for every image of a batch.</summary>
internal static class TokenRows
{
    /// <summary>The rows at the given indices of every image: rows [B,N,C] and indices [B,M] to [B,M,C].</summary>
    public static Tensor Take(Tensor rows, Tensor indices) => rows.gather(1, Along(indices, rows.shape[2]));

    /// <summary>
    /// Adds rows [B,R,C] to those of <paramref name="rows"/> [B,N,C] that the targets [B,R] name: in place, unless gradients
    /// need the rows as they were.
    /// </summary>
    public static Tensor AddTo(Tensor rows, Tensor targets, Tensor added) => torch.is_grad_enabled()
        ? rows.scatter_add(1, Along(targets, rows.shape[2]), added)
        : rows.scatter_add_(1, Along(targets, rows.shape[2]), added);

    private static Tensor Along(Tensor indices, long channels) => indices.unsqueeze(-1).expand(-1, -1, channels);
}
