namespace RegCache.Lab.Encoders;

/// <summary>The token stream of a batch at one point of the encoder: the residual rows and what is known of them.</summary>
/// <param name="Tokens">Residual stream [B,N,C].</param>
/// <param name="Layout">Where the class, register and patch tokens are.</param>
public sealed record TokenBatch(Tensor Tokens, TokenLayout Layout)
{
    /// <summary>Number of patches that each token stands for [B,N,1], float32; null while every size is one.</summary>
    public Tensor? Sizes { get; init; }

    /// <summary>Which original tokens each token is made of [B,N,N0], 0/1; null while nothing tracks it.</summary>
    public Tensor? Sources { get; init; }

    /// <summary>
    /// Index of every token in the sequence that entered the encoder [B,N], int64; null while no stage has removed or
    /// reordered tokens, so that position n still holds token n.
    /// </summary>
    public Tensor? Positions { get; init; }

    /// <summary>Number of images.</summary>
    public long Images => Tokens.shape[0];

    /// <summary>Number of tokens per image.</summary>
    public long Length => Tokens.shape[1];

    /// <summary>
    /// Keeps the tokens at the given indices of every image, in that order, together with their sizes, sources and
    /// positions. The layout is unchanged: the caller keeps the protected tokens in front.
    /// </summary>
    /// <param name="indices">Indices into the sequence [B,M], int64.</param>
    public TokenBatch Select(Tensor indices)
    {
        return this with
        {
            Tokens = TokenRows.Take(Tokens, indices),
            Sizes = Sizes is null ? null : TokenRows.Take(Sizes, indices),
            Sources = Sources is null ? null : TokenRows.Take(Sources, indices),
            Positions = Positions is null ? indices : Positions.gather(1, indices),
        };
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

    /// <summary>The tensors that the batch holds.</summary>
    internal IEnumerable<Tensor> Tensors
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
        }
    }

    /// <summary>
    /// Moves the tensors that <paramref name="arrived"/> does not share to the enclosing dispose scope; shared ones
    /// already live further out.
    /// </summary>
    internal TokenBatch MoveToOuterDisposeScope(TokenBatch arrived)
    {
        foreach (var tensor in Tensors.Except(arrived.Tensors, ReferenceEqualityComparer.Instance).Cast<Tensor>())
        {
            tensor.MoveToOuterDisposeScope();
        }

        return this;
    }
}
