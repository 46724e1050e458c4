namespace RegCache.Lab.Training.Losses;

/// <summary>The contrastive loss of one process among several (clip.md, section 13.1).</summary>
/// <param name="LocalLoss">Whether a rank compares only its own rows with everything, instead of everything with everything.</param>
/// <param name="GatherWithGradient">Whether gradients reach the features of other ranks.</param>
public sealed record RankLoss(bool LocalLoss, bool GatherWithGradient)
{
    /// <summary>The loss of a rank.</summary>
    /// <param name="images">Image features of every rank, each [B,E].</param>
    /// <param name="texts">Text features of every rank, each [B,E].</param>
    /// <param name="rank">The rank.</param>
    /// <param name="scale">The logit scale, exponentiated.</param>
    /// <returns>The loss, [].</returns>
    public Tensor Of(IReadOnlyList<Tensor> images, IReadOnlyList<Tensor> texts, int rank, Tensor scale)
    {
        using var scope = torch.NewDisposeScope();
        var (allImages, allTexts) = (Gather(images, rank), Gather(texts, rank));
        if (!LocalLoss)
        {
            return ContrastiveLoss.Of(allImages, allTexts, scale).MoveToOuterDisposeScope();
        }

        var first = images.Take(rank).Sum(part => part.shape[0]);
        var rows = MatchLoss((scale * images[rank]).matmul(allTexts.t()), first);
        var columns = MatchLoss((scale * texts[rank]).matmul(allImages.t()), first);
        return ((rows + columns) * 0.5).MoveToOuterDisposeScope();
    }

    // A rank's own features always carry gradients; with LocalLoss upstream takes them from the gathered copy, which does not.
    private Tensor Gather(IReadOnlyList<Tensor> parts, int rank) => torch.cat(
        [.. parts.Select((part, index) => GatherWithGradient || (index == rank && !LocalLoss) ? part : part.detach())], 0);

    // Row i belongs to column first + i.
    private static Tensor MatchLoss(Tensor logits, long first) =>
        -logits.log_softmax(1).diagonal(first).narrow(0, 0, logits.shape[0]).mean();
}
