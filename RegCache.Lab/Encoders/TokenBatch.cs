namespace RegCache.Lab.Encoders;

/// <summary>The token stream of a batch at one point of the encoder: the residual rows and what is known of them.</summary>
/// <param name="Tokens">Residual stream [B,N,C].</param>
/// <param name="Layout">Where the class, register and patch tokens are.</param>
public sealed record TokenBatch(Tensor Tokens, TokenLayout Layout) : ITensorHolder
{
    /// <summary>
    /// Number of patches that each token stands for [B,N,1], float32; null while every size is one. A size of 0 is padding behind the tokens of
    /// an image that has fewer than others: see <see cref="HasPadding"/>.
    /// </summary>
    public Tensor? Sizes { get; init; }

    /// <summary>Whether some tokens are of size 0: attention hides them, means leave them out, and nothing may depend on what they hold.</summary>
    public bool HasPadding { get; init; }

    /// <summary>The finer stream that pooling has set aside and that is added back further on; null where there is none.</summary>
    public SetAside? Aside { get; init; }

    /// <summary>Which original tokens each token is made of [B,N,N0], 0/1; null while nothing tracks it.</summary>
    public Tensor? Sources { get; init; }

    /// <summary>
    /// Index of every token in the sequence as it is without removals [B,N], int64: first the layout's class and register tokens, then
    /// all patches. Null while no stage has removed or reordered tokens, so that position n still holds token n.
    /// </summary>
    public Tensor? Positions { get; init; }

    /// <summary>Which tokens are padding [B,N], bool; null where none is.</summary>
    public Tensor? Padding => HasPadding ? TensorScope.Run(() => Sizes!.squeeze(2).eq(0)) : null;

    /// <summary>Number of images.</summary>
    public long Images => Tokens.shape[0];

    /// <summary>Number of tokens per image.</summary>
    public long Length => Tokens.shape[1];

    /// <summary>
    /// Keeps the tokens at the given indices of every image, in that order, together with their sizes, sources and
    /// positions. The layout is unchanged: the caller keeps the protected tokens in front.
    /// </summary>
    /// <param name="indices">Indices into the sequence [B,M], int64.</param>
    public TokenBatch Select(Tensor indices) => this with
    {
        Tokens = TokenRows.Take(Tokens, indices),
        Sizes = Sizes is null ? null : TokenRows.Take(Sizes, indices),
        Sources = Sources is null ? null : TokenRows.Take(Sources, indices),
        Positions = Positions is null ? indices : Positions.gather(1, indices),
    };

    /// <summary>
    /// Lets tokens enter among those that are protected. They are of size one, and everything that is known of tokens further back moves
    /// on by their number.
    /// </summary>
    /// <param name="place">Where the first of them is then.</param>
    /// <param name="rows">The tokens [R,C] or [1,R,C], the same for every image.</param>
    /// <param name="layout">The layout with them.</param>
    public TokenBatch Insert(int place, Tensor rows, TokenLayout layout)
    {
        var count = rows.shape[^2];
        Tensor Split(Tensor known, Tensor entering, long axis = 1) =>
            torch.cat([known.narrow(axis, 0, place), entering, known.narrow(axis, place, known.shape[axis] - place)], axis);

        return TensorScope.Run(() => this with
        {
            Tokens = Split(Tokens, rows.to(Tokens.dtype, Tokens.device).expand(Images, -1, -1)),
            Layout = layout,
            Sizes = Sizes is null ? null : Split(Sizes, torch.ones_like(Sizes.narrow(1, 0, 1)).expand(-1, count, -1)),
            Sources = Sources is null ? null : WithOwn(Sources),
            Positions = Positions is null ? null : Split(
                Positions + (Positions.ge(place).to(Positions.dtype) * count),
                torch.arange(place, place + count, dtype: Positions.dtype, device: Positions.device).expand(Images, -1)),
        });

        // The tokens are their own sources, which nothing else is made of.
        Tensor WithOwn(Tensor sources)
        {
            var columns = Split(sources, torch.zeros(Images, sources.shape[1], count, dtype: sources.dtype, device: sources.device), axis: 2);
            var own = torch.zeros(count, columns.shape[2], dtype: sources.dtype, device: sources.device);
            own.narrow(1, place, count).diagonal().fill_(1);
            return Split(columns, own.expand(Images, -1, -1));
        }
    }

    /// <summary>Keeps the first tokens of every image, as a copy.</summary>
    internal TokenBatch Leading(int count)
    {
        Tensor First(Tensor rows) => rows.narrow(1, 0, count).contiguous();
        return this with
        {
            Tokens = First(Tokens),
            Sizes = Sizes is null ? null : First(Sizes),
            Sources = Sources is null ? null : First(Sources),
            Positions = Positions is null ? null : First(Positions),
        };
    }

    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors
    {
        get
        {
            yield return Tokens;
            foreach (var tensor in new[] { Sizes, Sources, Positions })
            {
                if (tensor is not null)
                {
                    yield return tensor;
                }
            }

            foreach (var tensor in Aside?.Tensors ?? [])
            {
                yield return tensor;
            }
        }
    }
}

/// <summary>A stream that pooling has set aside, to be added to what its tokens read of the pooled ones.</summary>
/// <param name="Stream">The stream as it entered pooling, without protected tokens.</param>
/// <param name="Rows">For each of its tokens the pooled token that it reads [B,T], int64.</param>
/// <param name="Length">Pooled tokens of an image; another number means that some were removed since.</param>
public sealed record SetAside(TokenBatch Stream, Tensor Rows, long Length) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => [.. Stream.Tensors, Rows];
}

/// <summary>
/// Says what the positions of a token sequence hold: first the class tokens, then the register tokens, then the patch
/// tokens. Stages that insert, remove or reorder tokens return a new layout; nobody else guesses positions.
/// </summary>
/// <param name="ClassTokens">Number of leading class (and distillation) tokens.</param>
/// <param name="RegisterTokens">Number of register tokens that follow the class tokens.</param>
/// <param name="GridRows">Rows of the patch grid that the image was cut into.</param>
/// <param name="GridColumns">Columns of that grid.</param>
public sealed record TokenLayout(int ClassTokens, int RegisterTokens, int GridRows, int GridColumns)
{
    /// <summary>Number of leading tokens that no stage may delete, prune or merge.</summary>
    public int ProtectedTokens => ClassTokens + RegisterTokens;

    /// <summary>How the patch tokens lie in windows; null while they do not.</summary>
    public WindowRuns? Windows { get; init; }
}

/// <summary>
/// Patch tokens that lie in windows: after the protected tokens come the tokens of window 0, then those of window 1, and
/// so on.
/// </summary>
/// <param name="AtLeast">Tokens of each window in the image that has the fewest there.</param>
/// <param name="Tokens">Patch tokens of an image when this was noted; what is missing now has been deleted since.</param>
public sealed record WindowRuns(ValueList<int> AtLeast, int Tokens);

/// <summary>Rows of token sequences, picked for every image of a batch; stages that reorder, drop or join tokens are made of these.</summary>
public static class TokenRows
{
    /// <summary>The rows at the given indices of every image.</summary>
    /// <param name="rows">Rows [B,N,C].</param>
    /// <param name="indices">Indices into the sequence [B,M], int64.</param>
    /// <returns>Rows [B,M,C], a fresh tensor.</returns>
    public static Tensor Take(Tensor rows, Tensor indices) => rows.gather(1, Along(indices, rows.shape[2]));

    /// <summary>
    /// Adds rows to those that the targets name; several may go to the same one. It happens in place unless gradients are on,
    /// which need the rows as they were: go on with the result, not with <paramref name="rows"/>.
    /// </summary>
    /// <param name="rows">Rows [B,N,C].</param>
    /// <param name="targets">For each added row the index of the row that it joins [B,R], int64.</param>
    /// <param name="added">Rows to add [B,R,C].</param>
    /// <returns>The sums [B,N,C].</returns>
    public static Tensor AddTo(Tensor rows, Tensor targets, Tensor added) => torch.is_grad_enabled()
        ? rows.scatter_add(1, Along(targets, rows.shape[2]), added)
        : rows.scatter_add_(1, Along(targets, rows.shape[2]), added);

    private static Tensor Along(Tensor indices, long channels) => indices.unsqueeze(-1).expand(-1, -1, channels);
}

/// <summary>How much of an outlier a token is: the largest magnitude of its row, <c>max_c |x[n,c]|</c>.</summary>
public static class OutlierScore
{
    /// <summary>The score of every token of a stream that may be removed [B,N-P]; that of padding is below all others.</summary>
    public static Tensor OfFree(TokenBatch batch) => TensorScope.Run(() =>
    {
        var first = batch.Layout.ProtectedTokens;
        var scores = Of(batch.Tokens.narrow(1, first, batch.Length - first));
        return batch.Padding is { } padding ? scores.masked_fill(padding.narrow(1, first, scores.shape[1]), -1) : scores;
    });

    /// <summary>The score of every row in float32, [B,N,C] to [B,N].</summary>
    public static Tensor Of(Tensor rows) => TensorScope.Run(() =>
    {
        var wide = rows.to(torch.ScalarType.Float32);
        return torch.maximum(wide.amax([-1]), wide.amin([-1]).neg());
    });
}
