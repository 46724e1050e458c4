namespace RegCache.Lab.Training;

/// <summary>
/// The symmetric contrastive loss of CLIP (Radford et al. 2021, figure 3). Features are normalised.
/// </summary>
public static class ContrastiveLoss
{
    /// <summary>The mean cross entropy of the pairs in both directions: image i belongs to text i.</summary>
    /// <param name="images">Image features [B,E].</param>
    /// <param name="texts">Text features [B,E].</param>
    /// <param name="scale">The logit scale, already exponentiated, [] or [1].</param>
    /// <returns>The loss, [].</returns>
    public static Tensor Of(Tensor images, Tensor texts, Tensor scale) => TensorScope.Run(() =>
    {
        var logits = (scale * images).matmul(texts.t()).to(torch.ScalarType.Float32);
        var rows = logits.log_softmax(1).diagonal().mean();
        var columns = logits.log_softmax(0).diagonal().mean();
        return (rows + columns) * -0.5;
    });

    /// <summary>
    /// The same with soft targets: every row of <paramref name="targets"/> says how an image's probability is shared among the
    /// texts, every row of its transpose, rescaled to sum 1, how a text's is shared among the images.
    /// </summary>
    /// <param name="images">Image features [B,E].</param>
    /// <param name="texts">Text features [T,E].</param>
    /// <param name="scale">The logit scale, already exponentiated, [] or [1].</param>
    /// <param name="targets">Non-negative weights [B,T] without empty rows or columns.</param>
    /// <returns>The loss, [].</returns>
    public static Tensor Of(Tensor images, Tensor texts, Tensor scale, Tensor targets) => TensorScope.Run(() =>
    {
        var logits = (scale * images).matmul(texts.t()).to(torch.ScalarType.Float32);
        var rowTargets = targets / targets.sum(1, keepdim: true);
        var columnTargets = targets / targets.sum(0, keepdim: true);
        var rows = (rowTargets * logits.log_softmax(1)).sum() / targets.shape[0];
        var columns = (columnTargets * logits.log_softmax(0)).sum() / targets.shape[1];
        return (rows + columns) * -0.5;
    });
}

/// <summary>
/// The contrastive loss of images that have several captions each, as long and short ones: a weighted sum of one term a caption, all with
/// the same image features (docs/methods/memory.md, "Finetuning").
/// </summary>
/// <param name="Total">The weighted sum, [].</param>
/// <param name="Terms">The contrastive loss of each caption, [].</param>
public sealed record CaptionLoss(Tensor Total, IReadOnlyList<Tensor> Terms) : ITensorHolder, IDisposable
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => [Total, .. Terms];

    /// <summary>Computes the terms and their sum.</summary>
    /// <param name="images">Image features [B,E].</param>
    /// <param name="texts">Text features [T,B,E], those of the first captions first.</param>
    /// <param name="scale">The logit scale, exponentiated.</param>
    /// <param name="weights">A weight for each of the T captions; a single caption of weight 1 is plain CLIP.</param>
    /// <param name="share">What everything is multiplied by.</param>
    public static CaptionLoss Of(Tensor images, Tensor texts, Tensor scale, IReadOnlyList<double> weights, double share = 1) => TensorScope.Run(() =>
    {
        Tensor[] terms = [.. weights.Select((_, caption) => ContrastiveLoss.Of(images, texts[caption], scale) * share)];
        return new CaptionLoss(terms.Select((term, caption) => term * weights[caption]).Aggregate((sum, term) => sum + term), terms);
    });

    /// <summary>The terms of one process among several, whose mean is that of the whole batch, see <see cref="RankLoss"/>.</summary>
    /// <param name="texts">Text features of every process, for each caption [B,E].</param>
    /// <param name="images">Image features of every process [B,E].</param>
    /// <param name="rank">The process.</param>
    /// <param name="scale">The logit scale, exponentiated.</param>
    /// <param name="weights">A weight for each caption.</param>
    /// <param name="share">What everything is multiplied by.</param>
    public static CaptionLoss Of(
        IReadOnlyList<Tensor[]> texts, IReadOnlyList<Tensor> images, int rank, Tensor scale, IReadOnlyList<double> weights, double share) => TensorScope.Run(() =>
    {
        var loss = new RankLoss(LocalLoss: true, GatherWithGradient: true);
        Tensor[] terms = [.. weights.Select((_, caption) => loss.Of(images, [.. texts.Select(part => part[caption])], rank, scale) * share)];
        return new CaptionLoss(terms.Select((term, caption) => term * weights[caption]).Aggregate((sum, term) => sum + term), terms);
    });

    /// <summary>The sum of two losses of parts of a batch.</summary>
    public CaptionLoss Plus(CaptionLoss other) => new(Total + other.Total, [.. Terms.Zip(other.Terms, (a, b) => a + b)]);

    /// <summary>The same without history.</summary>
    public CaptionLoss Detached() => new(Total.detach(), [.. Terms.Select(term => term.detach())]);

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var tensor in Tensors)
        {
            tensor.Dispose();
        }
    }
}

/// <summary>
/// The term that makes a student's similarities follow a teacher's: the cross entropy of the softmax of the student's logits
/// under that of the teacher's, averaged over both directions (docs/methods/clip.md, "Distillation").
/// </summary>
public static class DistillationLoss
{
    /// <summary>Computes the term; it is added to the contrastive loss with weight 1.</summary>
    /// <param name="images">The student's image features [B,E].</param>
    /// <param name="texts">The student's text features [B,E].</param>
    /// <param name="scale">The student's logit scale, exponentiated.</param>
    /// <param name="teacherImages">The teacher's image features [B,F].</param>
    /// <param name="teacherTexts">The teacher's text features [B,F].</param>
    /// <param name="teacherScale">The teacher's logit scale, exponentiated.</param>
    /// <returns>The term, [].</returns>
    public static Tensor Of(
        Tensor images, Tensor texts, Tensor scale, Tensor teacherImages, Tensor teacherTexts, Tensor teacherScale) => TensorScope.Run(() =>
    {
        var student = (scale * images).matmul(texts.t());
        var teacher = (teacherScale * teacherImages).matmul(teacherTexts.t()).detach();
        var rows = (teacher.softmax(1) * student.log_softmax(1)).sum(dim: 1).mean();
        var columns = (teacher.softmax(0) * student.log_softmax(0)).sum(dim: 0).mean();
        return (rows + columns) * -0.5;
    });
}

/// <summary>
/// The contrastive loss of one process among several, whose features have been gathered. With both switches on, the average over
/// ranks of the gradients is that of the whole batch; otherwise parts of it are missing, as in OpenCLIP (docs/methods/clip.md,
/// "Contrastive loss").
/// </summary>
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
    public Tensor Of(IReadOnlyList<Tensor> images, IReadOnlyList<Tensor> texts, int rank, Tensor scale) => TensorScope.Run(() =>
    {
        var (allImages, allTexts) = (Gather(images, rank), Gather(texts, rank));
        if (!LocalLoss)
        {
            return ContrastiveLoss.Of(allImages, allTexts, scale);
        }

        var first = images.Take(rank).Sum(part => part.shape[0]);
        var rows = MatchLoss((scale * images[rank]).matmul(allTexts.t()), first);
        var columns = MatchLoss((scale * texts[rank]).matmul(allImages.t()), first);
        return (rows + columns) * 0.5;
    });

    // A rank's own features always carry gradients; with LocalLoss upstream takes them from the gathered copy, which does not.
    private Tensor Gather(IReadOnlyList<Tensor> parts, int rank) => torch.cat(
        [.. parts.Select((part, index) => GatherWithGradient || (index == rank && !LocalLoss) ? part : part.detach())], 0);

    // Row i belongs to column first + i.
    private static Tensor MatchLoss(Tensor logits, long first) =>
        -logits.log_softmax(1).diagonal(first).narrow(0, 0, logits.shape[0]).mean();
}
