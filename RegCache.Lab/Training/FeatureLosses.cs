namespace RegCache.Lab.Training;

/// <summary>How far a student's features are from its teacher's: an objective of distillation.</summary>
/// <param name="Name">Its name in configurations.</param>
/// <param name="Help">What it is, in one line.</param>
/// <param name="Of">The loss [] of teacher features [B,E] and student features [B,E], neither normalised.</param>
public sealed record FeatureLoss(string Name, string Help, Func<Tensor, Tensor, Tensor> Of) : IListed
{
    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];

    /// <inheritdoc />
    public override string ToString() => Name;
}

/// <summary>All of them (docs/methods/memory.md, "Distillation").</summary>
public static class FeatureLosses
{
    /// <summary>The list.</summary>
    public static OpenList<FeatureLoss> All { get; } = new(
        "loss type",
        new FeatureLoss("mse", "Mean squared difference of all elements.", (teacher, student) => TensorScope.Run(() => (teacher - student).square().mean())),
        new FeatureLoss("l2", "Mean Euclidean distance of an image's features.", (teacher, student) => TensorScope.Run(() => (teacher - student).square().sum([1]).sqrt().mean())),
        new FeatureLoss("cosine", "One minus the mean cosine of an image's features.", (teacher, student) => TensorScope.Run(() =>
        {
            Tensor Length(Tensor rows) => rows.square().sum([1]).sqrt();
            return 1 - ((teacher * student).sum([1]) / (Length(teacher) * Length(student))).mean();
        })));
}
