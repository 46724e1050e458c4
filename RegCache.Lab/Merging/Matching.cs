using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>
/// Bipartite soft matching (Bolya et al. 2023, "Token Merging: Your ViT But Faster", section 3; docs/methods/token-merging.md):
/// tokens are split alternately into sources and destinations, every source looks for its most similar destination, and the
/// most similar pairs merge. Every image decides for itself; nothing waits for the device.
/// </summary>
public static class BipartiteMatching
{
    /// <summary>How many pairs can merge: at most half of the free tokens.</summary>
    /// <param name="count">Pairs wanted.</param>
    /// <param name="freeTokens">Tokens that are not protected.</param>
    public static int Cap(int count, long freeTokens) => (int)Math.Min(count, Math.Max(0, freeTokens) / 2);

    /// <summary>How many tokens of a stream can merge or be dropped at once: at most half of those that are not protected.</summary>
    /// <param name="count">Tokens wanted.</param>
    /// <param name="batch">The stream.</param>
    public static int Cap(int count, TokenBatch batch) => Cap(count, batch.Length - batch.Layout.ProtectedTokens);

    /// <summary>Matches the tokens of whole images.</summary>
    /// <param name="metric">What similarity is the cosine of [B,N,C]; computed in float32.</param>
    /// <param name="count">Pairs to merge R, capped by <see cref="Cap(int, long)"/>.</param>
    /// <param name="protectedTokens">Leading tokens that neither merge nor receive.</param>
    /// <param name="penalty">Subtracted once for each of a pair's tokens [B,N]; null for none.</param>
    /// <returns>
    /// The merge; output tokens are the protected ones, then the sources that stay, then the destinations, each in
    /// their own order. Null when nothing merges.
    /// </returns>
    public static TokenMerge? Match(Tensor metric, int count, int protectedTokens, Tensor? penalty = null)
    {
        var free = metric.shape[1] - protectedTokens;
        count = Cap(count, free);
        if (count == 0)
        {
            return null;
        }

        return TensorScope.Run(() =>
        {
            using var noGradient = torch.no_grad();
            var first = protectedTokens % 2;
            var (merged, targets) = BestPairs(
                metric.narrow(1, protectedTokens, free), penalty?.narrow(1, protectedTokens, free), first, count);
            var sets = (torch.arange(free, dtype: torch.ScalarType.Int64, device: metric.device) + first) % 2;
            return Arrange(sets.expand(metric.shape[0], -1), merged, targets, protectedTokens);
        });
    }

    /// <summary>Matches inside windows; a window's tokens are split alternately in the order of the sequence.</summary>
    /// <param name="metric">What similarity is the cosine of [B,N,C]; computed in float32.</param>
    /// <param name="counts">Pairs to merge in each window; every window of every image has at least twice as many tokens.</param>
    /// <param name="windows">Window of every free token [B,N-P], int64.</param>
    /// <param name="longest">No window of any image has more tokens.</param>
    /// <param name="protectedTokens">Leading tokens P that take no part.</param>
    /// <param name="penalty">Subtracted once for each of a pair's tokens [B,N]; null for none.</param>
    /// <returns>
    /// The merge; output tokens are the protected ones, then window by window the sources that stay and the destinations.
    /// </returns>
    public static TokenMerge MatchInWindows(
        Tensor metric, IReadOnlyList<int> counts, Tensor windows, int longest, int protectedTokens, Tensor? penalty = null) => TensorScope.Run(() =>
    {
        using var noGradient = torch.no_grad();
        var (images, free) = (metric.shape[0], metric.shape[1] - protectedTokens);
        var (device, integers) = (metric.device, torch.ScalarType.Int64);
        var (_, byWindow) = windows.sort(dim: 1, stable: true);
        var window = torch.arange(counts.Count, dtype: integers, device: device);
        var lengths = windows.unsqueeze(-1).eq(window).sum(1);
        var starts = lengths.cumsum(1) - lengths;

        // Windows side by side [B,W,L]: shorter ones are padded with tokens that no pair wants.
        var place = torch.arange(longest, dtype: integers, device: device);
        var padding = place.ge(lengths.unsqueeze(-1)).flatten(1);
        var slots = (starts.unsqueeze(-1) + place).flatten(1).clamp_(max: free - 1);
        var tokens = byWindow.gather(1, slots) + protectedTokens;
        var penalties = (penalty?.gather(1, tokens) ?? torch.zeros(padding.shape, device: device))
            .masked_fill(padding, float.PositiveInfinity);

        var stacked = counts.Count * images;
        var (sources, destinations) = BestPairs(
            TokenRows.Take(metric, tokens).view(stacked, longest, -1), penalties.view(stacked, longest), 0, counts.Max());
        Tensor Tokens(Tensor pairs)
        {
            var all = pairs.view(images, counts.Count, -1) + (window * longest).unsqueeze(-1);
            return tokens.gather(1, torch.cat([.. counts.Select((count, index) => all.select(1, index).narrow(1, 0, count))], 1))
                - protectedTokens;
        }

        var rank = torch.empty_like(byWindow).scatter_(
            1, byWindow, torch.arange(free, dtype: integers, device: device).expand_as(byWindow));
        var sets = (windows * 2) + ((rank - starts.gather(1, windows)) % 2);
        return Arrange(sets, Tokens(sources), Tokens(destinations), protectedTokens);
    });

    /// <summary>
    /// The most similar pairs of tokens [G,L,C], best first: source and destination [G,count], with sources at
    /// <paramref name="firstSource"/>, +2, +4, .. and destinations at the other places.
    /// </summary>
    private static (Tensor Sources, Tensor Destinations) BestPairs(Tensor metric, Tensor? penalty, int firstSource, int count)
    {
        var length = metric.shape[1];
        Tensor SourcesOf(Tensor tokens) => tokens.slice(1, firstSource, length, 2);
        Tensor DestinationsOf(Tensor tokens) => tokens.slice(1, 1 - firstSource, length, 2);

        var unit = Similarity.Normalize(metric);
        var scores = SourcesOf(unit).matmul(DestinationsOf(unit).transpose(1, 2));
        if (penalty is not null)
        {
            scores = scores - SourcesOf(penalty).unsqueeze(2) - DestinationsOf(penalty).unsqueeze(1);
        }

        var (best, partner) = scores.max(-1);
        var (_, order) = best.sort(dim: 1, descending: true, stable: true);
        order = order.narrow(1, 0, count);
        return ((order * 2) + firstSource, (partner.gather(1, order) * 2) + (1 - firstSource));
    }

    /// <summary>Puts the tokens that stay into the order of their sets [B,N-P], each set in the order of the sequence.</summary>
    private static TokenMerge Arrange(Tensor sets, Tensor merged, Tensor targets, int protectedTokens)
    {
        var (images, free, count) = (sets.shape[0], sets.shape[1], merged.shape[1]);
        var last = torch.full([images, count], int.MaxValue, sets.dtype, sets.device);
        var (_, order) = sets.scatter(1, merged, last).sort(dim: 1, stable: true);
        var place = torch.empty_like(order).scatter_(
            1, order, torch.arange(free, dtype: sets.dtype, device: sets.device).expand_as(order));
        var leading = torch.arange(protectedTokens, dtype: sets.dtype, device: sets.device).expand(images, -1);
        return new(
            torch.cat([leading, order.narrow(1, 0, free - count) + protectedTokens], 1),
            merged + protectedTokens,
            place.gather(1, targets) + protectedTokens);
    }
}

/// <summary>
/// Matching with given sets: every source merges into its most similar destination, and several may join the same one.
/// </summary>
public static class NearestMatching
{
    /// <summary>Matches all sources.</summary>
    /// <param name="metric">What similarity is the cosine of [B,N,C]; computed in float32.</param>
    /// <param name="sources">Tokens to merge away [B,R], int64.</param>
    /// <param name="destinations">Tokens that stay [B,M], int64, in the order in which they go on.</param>
    /// <param name="protectedDestinations">How many leading destinations receive nothing.</param>
    public static TokenMerge Match(Tensor metric, Tensor sources, Tensor destinations, int protectedDestinations = 0) => TensorScope.Run(() =>
    {
        using var noGradient = torch.no_grad();
        var unit = Similarity.Normalize(metric);
        var receivers = destinations.narrow(1, protectedDestinations, destinations.shape[1] - protectedDestinations);
        var scores = TokenRows.Take(unit, sources).matmul(TokenRows.Take(unit, receivers).transpose(1, 2));
        var (_, nearest) = scores.max(-1);
        return new TokenMerge(destinations.alias(), sources.alias(), nearest + protectedDestinations);
    });

    /// <summary>
    /// Merges chosen tokens of a stream by the metric of <see cref="MergeMetric"/>. Protected tokens stay in front and receive
    /// nothing; the others keep their order.
    /// </summary>
    /// <param name="batch">The stream [B,N,C].</param>
    /// <param name="context">What the block computed so far.</param>
    /// <param name="order">The free tokens of every image, those to merge first [B,N-P], int64.</param>
    /// <param name="count">How many of them merge, fewer than there are.</param>
    /// <returns>The stream [B,N-count,C].</returns>
    public static TokenBatch MergeFirst(TokenBatch batch, StageContext context, Tensor order, int count) => TensorScope.Run(() =>
    {
        var first = batch.Layout.ProtectedTokens;
        var leading = torch.arange(first, dtype: torch.ScalarType.Int64, device: order.device).expand(batch.Images, -1);
        var (others, _) = order.narrow(1, count, order.shape[1] - count).sort(dim: 1);
        return Match(MergeMetric.Of(batch, context), order.narrow(1, 0, count), torch.cat([leading, others], 1), first).Apply(batch);
    });
}

/// <summary>What tokens are compared by: the block's attention keys, averaged over the heads.</summary>
public static class MergeMetric
{
    /// <summary>The metric of every token [B,N,C/H], float32.</summary>
    /// <param name="batch">The stream [B,N,C].</param>
    /// <param name="context">What the block computed so far.</param>
    /// <exception cref="InvalidOperationException">The stage is not the first one inside a block.</exception>
    public static Tensor Of(TokenBatch batch, StageContext context)
    {
        if (context.Keys is not { } keys || keys.shape[2] != batch.Length)
        {
            throw new InvalidOperationException(
                $"Merging in block {context.Block} has no keys for its tokens: it has to be the first stage between attention and MLP.");
        }

        using var wide = keys.to(torch.ScalarType.Float32);
        return wide.mean([1]);
    }

    /// <summary>Pairs that bipartite matching of <paramref name="tokens"/> tokens scores: ceil(N/2) floor(N/2).</summary>
    public static long PairScores(long tokens) => (tokens + 1) / 2 * (tokens / 2);
}

/// <summary>Cosine similarity of tokens.</summary>
public static class Similarity
{
    /// <summary>
    /// Scales rows [..,C] to unit length in float32, so that their products are cosines; a row of zeros stays zero.
    /// </summary>
    public static Tensor Normalize(Tensor rows) => TensorScope.Run(() =>
    {
        var wide = rows.to(torch.ScalarType.Float32);
        var length = torch.linalg.norm(wide, dims: [-1], keepdim: true);
        return wide / length.masked_fill(length.eq(0), 1);
    });
}
