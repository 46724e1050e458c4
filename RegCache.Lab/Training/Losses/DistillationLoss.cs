namespace RegCache.Lab.Training.Losses;

/// <summary>
/// The term that makes a student's similarities follow a teacher's: the cross entropy of the softened rows, averaged over
/// both directions (clip.md, section 13.1).
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
        Tensor images, Tensor texts, Tensor scale, Tensor teacherImages, Tensor teacherTexts, Tensor teacherScale)
    {
        using var scope = torch.NewDisposeScope();
        var student = (scale * images).matmul(texts.t());
        var teacher = (teacherScale * teacherImages).matmul(teacherTexts.t()).detach();
        var rows = (teacher.softmax(1) * student.log_softmax(1)).sum(dim: 1).mean();
        var columns = (teacher.softmax(0) * student.log_softmax(0)).sum(dim: 0).mean();
        return ((rows + columns) * -0.5).MoveToOuterDisposeScope();
    }
}
