namespace RegCache.Lab.Training.Losses;

/// <summary>The symmetric contrastive loss of CLIP (clip.md, section 13.1). Features are normalised.</summary>
public static class ContrastiveLoss
{
    /// <summary>The mean cross entropy of the pairs in both directions: image i belongs to text i.</summary>
    /// <param name="images">Image features [B,E].</param>
    /// <param name="texts">Text features [B,E].</param>
    /// <param name="scale">The logit scale, already exponentiated, [] or [1].</param>
    /// <returns>The loss, [].</returns>
    public static Tensor Of(Tensor images, Tensor texts, Tensor scale)
    {
        using var scope = torch.NewDisposeScope();
        var logits = (scale * images).matmul(texts.t()).to(torch.ScalarType.Float32);
        var rows = logits.log_softmax(1).diagonal().mean();
        var columns = logits.log_softmax(0).diagonal().mean();
        return ((rows + columns) * -0.5).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The same with soft targets: every row of <paramref name="targets"/> says how an image's probability is shared among the
    /// texts, every row of its transpose, rescaled to sum 1, how a text's is shared among the images.
    /// </summary>
    /// <param name="images">Image features [B,E].</param>
    /// <param name="texts">Text features [T,E].</param>
    /// <param name="scale">The logit scale, already exponentiated, [] or [1].</param>
    /// <param name="targets">Non-negative weights [B,T] without empty rows or columns.</param>
    /// <returns>The loss, [].</returns>
    public static Tensor Of(Tensor images, Tensor texts, Tensor scale, Tensor targets)
    {
        using var scope = torch.NewDisposeScope();
        var logits = (scale * images).matmul(texts.t()).to(torch.ScalarType.Float32);
        var rowTargets = targets / targets.sum(1, keepdim: true);
        var columnTargets = targets / targets.sum(0, keepdim: true);
        var rows = (rowTargets * logits.log_softmax(1)).sum() / targets.shape[0];
        var columns = (columnTargets * logits.log_softmax(0)).sum() / targets.shape[1];
        return ((rows + columns) * -0.5).MoveToOuterDisposeScope();
    }
}
