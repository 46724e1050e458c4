namespace RegCache.Lab.Pooling;

/// <summary>What a boundary does to the token that it stands at.</summary>
public enum BoundaryMode
{
    /// <summary>The token is the last one of its segment ("trail").</summary>
    Closes,

    /// <summary>The token is the first one of its segment ("lead").</summary>
    Opens,
}

/// <summary>
/// Runs of tokens between boundaries, as whole numbers: which row every token belongs to, and how many tokens a row has. All indices are
/// integers, whatever the number format of the tokens, because running sums in bfloat16 collide above 256.
/// </summary>
/// <remarks>
/// The batch has as many rows as its sample with most segments. A sample with fewer has empty rows behind them; one whose last segment stays
/// open has that segment as a further row only where the batch has room for it (docs/methods/dynamic-pooling.md,
/// "Segments"). A forced boundary at the end closes the last segment, so that nothing depends on the rest of the batch.
/// </remarks>
/// <param name="Boundaries">The boundaries [B,T], bool.</param>
/// <param name="Mode">What a boundary does.</param>
/// <param name="Index">The row of every token [T,B], int64; <see cref="Length"/> for tokens that have none.</param>
/// <param name="Sizes">Tokens of every row [S,B], int64; 0 for padding.</param>
/// <param name="Closed">Segments of every sample that a boundary marks [B], int64.</param>
/// <param name="Length">Rows S of the batch.</param>
public sealed record Segments(Tensor Boundaries, BoundaryMode Mode, Tensor Index, Tensor Sizes, Tensor Closed, long Length) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => [Boundaries, Index, Sizes, Closed];

    /// <summary>Which rows hold a segment that a boundary marks [B,S], bool; the others are padding or an open tail.</summary>
    public Tensor Valid => TensorScope.Run(() => torch.arange(Length, device: Closed.device).unsqueeze(0).less(Closed.unsqueeze(1)));

    /// <summary>Finds the segments.</summary>
    /// <param name="boundaries">The boundaries [B,T], bool.</param>
    /// <param name="mode">What a boundary does. When it opens a segment the first position has to be one.</param>
    /// <param name="valid">Which positions hold a token [B,T], bool; the others belong to no row. Null: all do.</param>
    public static Segments Of(Tensor boundaries, BoundaryMode mode = BoundaryMode.Closes, Tensor? valid = null) => TensorScope.Run(() =>
    {
        var marks = boundaries.to(torch.ScalarType.Int64);
        var running = marks.cumsum(1);
        var closed = running.select(1, -1);
        var length = closed.max().item<long>();
        var segment = mode == BoundaryMode.Closes ? running - marks : running - 1;
        segment = valid is null ? segment : segment.masked_fill(valid.logical_not(), length);
        var index = segment.clamp(max: length).transpose(0, 1).contiguous();
        var batch = boundaries.shape[0];
        var sizes = torch.bincount(Flat(index, batch), minlength: (length + 1) * batch).view(length + 1, batch).narrow(0, 0, length);
        return new Segments(boundaries, mode, index, sizes, closed.contiguous(), length);
    });

    /// <summary>Row numbers in a tensor [S+1,B,..] whose first two dimensions are one, [T*B].</summary>
    internal static Tensor Flat(Tensor index, long batch) =>
        ((index * batch) + torch.arange(batch, device: index.device).unsqueeze(0)).flatten();
}
