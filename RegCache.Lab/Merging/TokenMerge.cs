using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>
/// Says which tokens of every image become one: each merged token joins a kept one, and the kept ones go on in the order
/// given (token-merging.md, section 3).
/// </summary>
/// <param name="Kept">Input index of every output token [B,M], int64.</param>
/// <param name="Merged">Input indices of the tokens that are merged away [B,R], int64.</param>
/// <param name="Targets">Output index of the token that each of them joins [B,R], int64.</param>
public sealed record TokenMerge(Tensor Kept, Tensor Merged, Tensor Targets)
{
    /// <summary>
    /// Merges a stream: tokens become the average of their members weighted by size, sizes and sources add up, and a
    /// token's position is that of its kept member. Differentiable with respect to the tokens.
    /// </summary>
    /// <param name="batch">The stream [B,N,C].</param>
    /// <returns>The stream [B,M,C].</returns>
    public TokenBatch Apply(TokenBatch batch)
    {
        using var scope = torch.NewDisposeScope();
        var sizes = batch.Sizes ?? torch.ones([batch.Images, batch.Length, 1], device: batch.Tokens.device);
        var kept = batch.Select(Kept);
        var total = Sum(sizes);

        // sum(s x) / sum(s) = x + sum(s_i / sum(s) (x_i - x)): touches only the rows that something joins.
        var share = TokenRows.Take(sizes, Merged) / TokenRows.Take(total, Targets);
        var distance = TokenRows.Take(batch.Tokens, Merged) - TokenRows.Take(kept.Tokens, Targets);
        var merged = kept with
        {
            Tokens = TokenRows.AddTo(kept.Tokens, Targets, distance * share.to(distance.dtype)),
            Sizes = total,
            Sources = batch.Sources is { } sources ? Sum(sources) : null,
        };
        return merged.MoveToOuterDisposeScope(batch);
    }

    /// <summary>The sum of every group's members, [B,N,C] to [B,M,C].</summary>
    public Tensor Sum(Tensor rows)
    {
        using var scope = torch.NewDisposeScope();
        return TokenRows.AddTo(TokenRows.Take(rows, Kept), Targets, TokenRows.Take(rows, Merged)).MoveToOuterDisposeScope();
    }

    /// <summary>The mean of every group's members, each counted once, [B,N,C] to [B,M,C].</summary>
    public Tensor Mean(Tensor rows)
    {
        using var scope = torch.NewDisposeScope();
        return (Sum(rows) / Sum(torch.ones_like(rows.narrow(2, 0, 1)))).MoveToOuterDisposeScope();
    }

    /// <summary>The largest value of every group's members, channel by channel, [B,N,C] to [B,M,C].</summary>
    public Tensor Maximum(Tensor rows)
    {
        using var scope = torch.NewDisposeScope();
        var largest = TokenRows.Take(rows, Kept);
        for (var member = 0; member < Merged.shape[1]; member++)
        {
            // One member at a time, for all images: two that join the same token must not overwrite each other.
            var target = Targets.narrow(1, member, 1);
            var joined = torch.maximum(TokenRows.Take(largest, target), TokenRows.Take(rows, Merged.narrow(1, member, 1)));
            largest = largest.scatter(1, target.unsqueeze(-1).expand_as(joined), joined);
        }

        return largest.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Copies every output token back to all its members, [B,M,C] to [B,N,C]. Tokens that a matching drops have zeros.
    /// </summary>
    /// <param name="rows">Output tokens.</param>
    /// <param name="length">Number of input tokens N.</param>
    public Tensor Unmerge(Tensor rows, long length)
    {
        using var scope = torch.NewDisposeScope();
        var members = torch.cat([Kept, Merged], 1).unsqueeze(-1).expand(-1, -1, rows.shape[2]);
        var values = torch.cat([rows, TokenRows.Take(rows, Targets)], 1);
        return rows.new_zeros(rows.shape[0], length, rows.shape[2]).scatter_(1, members, values).MoveToOuterDisposeScope();
    }

    internal TokenMerge MoveToOuterDisposeScope()
    {
        foreach (var tensor in new[] { Kept, Merged, Targets })
        {
            tensor.MoveToOuterDisposeScope();
        }

        return this;
    }
}
