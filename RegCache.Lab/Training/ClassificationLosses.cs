namespace RegCache.Lab.Training;

/// <summary>
/// The losses of a classifier (docs/methods/late-tokens.md, "Losses"). Logits are [B,K]; every loss is a mean over the batch, [], computed
/// in float32.
/// </summary>
public static class ClassificationLosses
{
    /// <summary>Cross entropy against classes, of which a share is spread over all classes: <c>(1 - s) nll + s mean(-log p)</c>.</summary>
    /// <param name="logits">Logits [B,K].</param>
    /// <param name="labels">Classes [B], int64.</param>
    /// <param name="smoothing">The share s, from 0 up to, not including, 1.</param>
    public static Tensor LabelSmoothing(Tensor logits, Tensor labels, double smoothing = 0) => TensorScope.Run(() =>
    {
        var logProbabilities = logits.to(torch.ScalarType.Float32).log_softmax(-1);
        var right = -logProbabilities.gather(1, labels.unsqueeze(1)).squeeze(1);
        return (right * (1 - smoothing) - (logProbabilities.mean([-1]) * smoothing)).mean();
    });

    /// <summary>Cross entropy against probabilities: <c>mean over the batch of -sum t log p</c>.</summary>
    /// <param name="logits">Logits [B,K].</param>
    /// <param name="targets">Target probabilities [B,K].</param>
    public static Tensor SoftTarget(Tensor logits, Tensor targets) => TensorScope.Run(() =>
        -(targets * logits.to(torch.ScalarType.Float32).log_softmax(-1)).sum(-1).mean());

    /// <summary>Binary cross entropy of every class by itself, mean over batch and classes.</summary>
    /// <param name="logits">Logits [B,K].</param>
    /// <param name="targets">Target probabilities [B,K].</param>
    public static Tensor Binary(Tensor logits, Tensor targets) => TensorScope.Run(() =>
        torch.nn.functional.binary_cross_entropy_with_logits(logits.to(torch.ScalarType.Float32), targets));

    /// <summary>
    /// The loss of a batch that went through the network twice, each time with other dropped branches (Touvron et al. 2022,
    /// arXiv:2212.04884): the mean of the criterion of each half and of each half's binary cross entropy against the other half's sigmoid.
    /// </summary>
    /// <param name="logits">Logits [2B,K], the second half of the same images.</param>
    /// <param name="criterion">The loss of logits [B,K] against the labels.</param>
    public static Tensor Cosub(Tensor logits, Func<Tensor, Tensor> criterion) => TensorScope.Run(() =>
    {
        var half = logits.shape[0] / 2;
        var (first, second) = (logits.narrow(0, 0, half), logits.narrow(0, half, half));
        return (criterion(first) + criterion(second) + Binary(first, second.detach().sigmoid()) + Binary(second, first.detach().sigmoid())) * 0.25;
    });
}

/// <summary>How a teacher's logits teach a student's distillation token (DeiT: Touvron et al. 2021, arXiv:2012.12877, section 3).</summary>
/// <param name="Name">Its name in configurations.</param>
/// <param name="Help">What it is, in one line.</param>
/// <param name="Of">The loss [] of the student's logits [B,K], the teacher's [B,K] and the temperature; null where the teacher is not asked.</param>
public sealed record ClassDistillation(string Name, string Help, Func<Tensor, Tensor, double, Tensor>? Of) : IListed
{
    /// <summary>The list.</summary>
    public static OpenList<ClassDistillation> All { get; } = new(
        "type of distillation",
        new ClassDistillation("none", "The labels alone.", null),
        new ClassDistillation("soft", "Divergence from the teacher's probabilities at a temperature.", (student, teacher, temperature) => TensorScope.Run(() =>
        {
            var wanted = (teacher / temperature).log_softmax(1);
            var given = (student / temperature).log_softmax(1);

            // DeiT divides by the number of elements, not by that of images.
            return (wanted.exp() * (wanted - given)).sum() * (temperature * temperature / student.NumberOfElements);
        })),
        new ClassDistillation("hard", "Cross entropy against the class that the teacher finds most likely.", (student, teacher, _) => TensorScope.Run(() =>
            ClassificationLosses.LabelSmoothing(student, teacher.argmax(1)))));

    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];

    /// <summary>The whole loss: <c>(1 - alpha) base + alpha D</c>.</summary>
    /// <param name="baseLoss">The loss of the class token's logits, [].</param>
    /// <param name="student">The distillation token's logits [B,K].</param>
    /// <param name="teacher">The teacher's logits [B,K], without history.</param>
    /// <param name="alpha">The teacher's share.</param>
    /// <param name="temperature">The temperature of soft distillation.</param>
    public Tensor Combine(Tensor baseLoss, Tensor student, Tensor teacher, double alpha, double temperature) => Of is null
        ? baseLoss.alias()
        : TensorScope.Run(() => (baseLoss * (1 - alpha)) + (Of(student, teacher, temperature) * alpha));

    /// <inheritdoc />
    public override string ToString() => Name;
}
