namespace RegCache.Lab.Evaluation;

/// <summary>What one plan achieved on a set of images.</summary>
/// <param name="Images">Images that were run; fewer than the set when the plan was dropped early.</param>
/// <param name="Correct">Images whose most likely class is right.</param>
/// <param name="CorrectTop5">Images whose right class is among the five most likely.</param>
/// <param name="SquaredError">Sum over images of the mean over channels of the squared difference between the
/// normalised feature and the reference plan's; zero without a reference.</param>
public sealed record PlanScore(int Images, long Correct, long CorrectTop5, double SquaredError)
{
    /// <summary>Nothing run yet.</summary>
    public static PlanScore None { get; } = new(0, 0, 0, 0);

    /// <summary>Top-1 accuracy in percent.</summary>
    public double Accuracy => 100.0 * Correct / Images;

    /// <summary>Top-5 accuracy in percent.</summary>
    public double AccuracyTop5 => 100.0 * CorrectTop5 / Images;

    /// <summary>Mean squared error of the normalised features against the reference plan.</summary>
    public double FeatureMse => SquaredError / Images;
}
