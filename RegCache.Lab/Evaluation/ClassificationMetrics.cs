using CsvHelper;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// What one plan did on a labelled set, class by class and by how sure it was: recall, precision and calibration error come from
/// these counts. An immutable value, so that a killed pass goes on from it.
/// </summary>
/// <param name="Images">Images of each class.</param>
/// <param name="Correct">Images of each class whose most likely class is right.</param>
/// <param name="CorrectTop5">Images of each class that is among their five most likely ones.</param>
/// <param name="Predicted">How often each class was the most likely one.</param>
/// <param name="Bins">The images by the probability of their most likely class, <see cref="ConfidenceBin.Count"/> bins of equal width.</param>
public sealed record ClassificationCounts(
    ValueList<long> Images, ValueList<long> Correct, ValueList<long> CorrectTop5, ValueList<long> Predicted, ValueList<ConfidenceBin> Bins)
{
    /// <summary>
    /// Mean over the classes of the share of their images that are right, percent; classes without images do not count. Where all
    /// classes have as many images it equals the accuracy.
    /// </summary>
    public double MeanPerClassRecall
    {
        get
        {
            int[] present = [.. Enumerable.Range(0, Images.Count).Where(index => Images[index] > 0)];
            return 100 * present.Average(index => (double)Correct[index] / Images[index]);
        }
    }

    /// <summary>
    /// Expected calibration error in percent: the mean over images of the distance between the accuracy and the mean confidence of
    /// their bin (Guo et al. 2017, arXiv:1706.04599, equation 3).
    /// </summary>
    public double CalibrationError => 100 * Bins.Sum(bin => Math.Abs(bin.Correct - bin.Confidence)) / Bins.Sum(bin => bin.Images);

    /// <summary>Mean probability of the most likely class, percent; above the accuracy where a plan is too sure.</summary>
    public double MeanConfidence => 100 * Bins.Sum(bin => bin.Confidence) / Bins.Sum(bin => bin.Images);

    /// <summary>Nothing counted yet.</summary>
    /// <param name="classes">Number of classes.</param>
    public static ClassificationCounts None(int classes)
    {
        ValueList<long> zeros = [.. new long[classes]];
        return new(zeros, zeros, zeros, zeros, [.. Enumerable.Repeat(ConfidenceBin.Empty, ConfidenceBin.Count)]);
    }

    /// <summary>The counts with a batch more.</summary>
    /// <param name="labels">The right class of each image.</param>
    /// <param name="top">The most likely classes of each image [B,depth], best first.</param>
    /// <param name="confidences">The probability of the most likely class of each image, 0..1.</param>
    public ClassificationCounts Plus(ReadOnlySpan<int> labels, ReadOnlySpan<long> top, ReadOnlySpan<double> confidences)
    {
        long[] images = [.. Images], correct = [.. Correct], correctTop5 = [.. CorrectTop5], predicted = [.. Predicted];
        ConfidenceBin[] bins = [.. Bins];
        var depth = top.Length / labels.Length;
        for (var image = 0; image < labels.Length; image++)
        {
            var label = labels[image];
            var likely = top.Slice(image * depth, depth);
            var isCorrect = likely[0] == label;
            images[label]++;
            correct[label] += isCorrect ? 1 : 0;
            correctTop5[label] += likely.Contains(label) ? 1 : 0;
            predicted[likely[0]]++;
            var bin = ConfidenceBin.IndexOf(confidences[image]);
            bins[bin] = bins[bin].Plus(isCorrect, confidences[image]);
        }

        return new([.. images], [.. correct], [.. correctTop5], [.. predicted], [.. bins]);
    }

    /// <summary>The counts as a table, one row a class.</summary>
    /// <param name="plan">The plan's name.</param>
    /// <param name="classNames">The names of the classes.</param>
    public IEnumerable<ClassRow> Rows(string plan, IReadOnlyList<string> classNames) => classNames.Select((name, index) => new ClassRow(
        plan,
        index,
        name,
        Images[index],
        ClassRow.Percent(Correct[index], Images[index]),
        ClassRow.Percent(CorrectTop5[index], Images[index]),
        Predicted[index],
        ClassRow.Percent(Correct[index], Predicted[index])));
}

/// <summary>The images whose confidence lies in one of the equal parts of 0..1, the upper bound of each included.</summary>
/// <param name="Images">How many.</param>
/// <param name="Correct">How many of them are right.</param>
/// <param name="Confidence">Sum of their confidences.</param>
public sealed record ConfidenceBin(long Images, long Correct, double Confidence)
{
    /// <summary>How many bins there are, as in Guo et al. 2017.</summary>
    public const int Count = 15;

    /// <summary>No image.</summary>
    public static ConfidenceBin Empty { get; } = new(0, 0, 0);

    /// <summary>The bin of a confidence from 0 to 1.</summary>
    public static int IndexOf(double confidence) => Math.Clamp((int)Math.Ceiling(confidence * Count) - 1, 0, Count - 1);

    /// <summary>The bin with an image more.</summary>
    public ConfidenceBin Plus(bool isCorrect, double confidence) => new(Images + 1, Correct + (isCorrect ? 1 : 0), Confidence + confidence);
}

/// <summary>
/// How sure a classifier is of its most likely class: the largest softmax of the logits. Which class is the most likely does not
/// depend on the logits' scale, but this does.
/// </summary>
/// <param name="LogitScale">
/// Factor of the similarities of normalised features; null where the features themselves are logits, as of a plain ViT classifier.
/// </param>
public sealed record ConfidenceRule(double? LogitScale)
{
    /// <summary>Whether the weights have no logit scale, so that the usual one is taken.</summary>
    public bool IsAssumed { get; init; }

    /// <summary>What the confidences are taken from, for tables and results.</summary>
    public string InWords => LogitScale is { } scale
        ? FormattableString.Invariant(
            $"softmax of {scale:0.##} times the similarities ({(IsAssumed ? "the usual logit scale; the weights have none" : "the model's logit scale")})")
        : "softmax of the logits";

    /// <summary>The confidences [..,B], float64.</summary>
    /// <param name="similarities">Products of normalised features and classes [..,B,K].</param>
    /// <param name="lengths">Lengths of the features before they were normalised [..,B].</param>
    internal Tensor Of(Tensor similarities, Tensor lengths) => TensorScope.Run(() =>
    {
        var wide = similarities.to(torch.ScalarType.Float64);
        var logits = LogitScale is { } scale ? wide * scale : wide * lengths.to(torch.ScalarType.Float64).unsqueeze(-1);
        return (logits.amax([-1]) - logits.logsumexp(-1)).exp();
    });
}

/// <summary>A row of <c>classes.csv</c>: what a plan did on one class. Shares in percent, null where there is nothing to divide by.</summary>
/// <param name="Plan">The plan.</param>
/// <param name="Class">Index of the class.</param>
/// <param name="Name">Its name.</param>
/// <param name="Images">Images of the class.</param>
/// <param name="Recall">Share of its images that are right (the class's top-1 accuracy).</param>
/// <param name="Top5">Share of its images that have it among their five most likely classes.</param>
/// <param name="Predicted">Images of all classes that are taken for this one.</param>
/// <param name="Precision">Share of those that are right.</param>
[CsvRecord]
public sealed partial record ClassRow(
    string Plan, int Class, string Name, long Images, double? Recall, double? Top5, long Predicted, double? Precision)
{
    internal static double? Percent(long part, long whole) => whole == 0 ? null : 100.0 * part / whole;
}

/// <summary>A row of <c>classification.csv</c>: what one plan achieves. Shares in percent.</summary>
/// <param name="Model">The model.</param>
/// <param name="Plan">The plan: <c>float</c>, <c>naive-w8a8+prefix+delete</c>, ...</param>
/// <param name="Top1">Top-1 accuracy.</param>
/// <param name="Top5">Top-5 accuracy; null with fewer than five classes.</param>
/// <param name="MeanPerClassRecall">See <see cref="ClassificationCounts.MeanPerClassRecall"/>.</param>
/// <param name="CalibrationError">See <see cref="ClassificationCounts.CalibrationError"/>.</param>
/// <param name="MeanConfidence">See <see cref="ClassificationCounts.MeanConfidence"/>.</param>
/// <param name="FeatureMse">Mean squared error of the normalised features against the float model's.</param>
/// <param name="Images">Images.</param>
/// <param name="Classes">Classes.</param>
[CsvRecord]
public sealed partial record ClassificationRow(
    string Model,
    string Plan,
    double Top1,
    double? Top5,
    double MeanPerClassRecall,
    double CalibrationError,
    double MeanConfidence,
    double FeatureMse,
    int Images,
    int Classes)
{
    /// <summary>Of a score that was taken with a <see cref="ConfidenceRule"/>.</summary>
    /// <exception cref="ArgumentException">It was taken without one.</exception>
    public static ClassificationRow Of(string model, string plan, PlanScore score)
    {
        var counts = score.Counts ?? throw new ArgumentException("The plan was scored without counts of its classes.", nameof(score));
        return new(
            model,
            plan,
            score.Accuracy,
            counts.Images.Count < PlanEvaluation.TopClasses ? null : score.AccuracyTop5,
            counts.MeanPerClassRecall,
            counts.CalibrationError,
            counts.MeanConfidence,
            score.FeatureMse,
            score.Images,
            counts.Images.Count);
    }
}
