using System.Text.Json.Serialization;
using RegCache.Lab.Data;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Evaluation;

/// <summary>Zero-shot accuracy of many plans in one pass over the images: each image is decoded once for all plans.</summary>
public static class PlanEvaluation
{
    /// <summary>How many of the most likely classes count for the top-5 accuracy.</summary>
    internal const int TopClasses = 5;

    /// <summary>Runs the plans over a labelled set.</summary>
    /// <param name="tower">The float encoder; of a ResNet the plan without blocks can be run alone.</param>
    /// <param name="classifier">Turns features into class scores.</param>
    /// <param name="images">The set.</param>
    /// <param name="tree">The plans.</param>
    /// <param name="run">Batch size, progress, resumption.</param>
    /// <param name="reference">Index of the plan that features are compared with, or null.</param>
    /// <param name="pruning">Drops plans that can no longer win, or null to run all to the end.</param>
    /// <param name="confidence">How sure plans are of a class: the scores then have <see cref="PlanScore.Counts"/>. Null: they have none.</param>
    /// <returns>One score for each plan, in the tree's order.</returns>
    /// <exception cref="UserException">A label has no class in the classifier.</exception>
    public static IReadOnlyList<PlanScore> Run(
        IImageTower tower,
        ZeroShotClassifier classifier,
        IImageSource images,
        PlanTree tree,
        EvaluationRun run,
        int? reference = null,
        Func<IReadOnlyList<PlanScore>, int, int, bool>? pruning = null,
        ConfidenceRule? confidence = null)
    {
        RequireLabels(images, classifier);
        var (done, scores) = Resume(run, tree, confidence is null ? null : ClassificationCounts.None(classifier.Classes));
        var top = Math.Min(TopClasses, classifier.Classes);
        using var runner = new PlanRunner(tower);
        using var progress = run.Progress.Start(run.Title, images.Count, "images", Math.Min(images.Count, done * run.BatchSize));
        foreach (var batch in images.ReadShare(run.Processes, run.BatchSize, done, run.Cancellation))
        {
            using var owned = batch;
            var first = run.Processes.Size == 1 ? batch!.Indices[0] : Math.Min(images.Count, done * run.BatchSize);
            int[] active = Active(first, Enumerable.Range(0, scores.Length));
            var own = batch is null ? BatchOutcome.Nothing : Encode(batch, active);
            foreach (var outcome in own.Gather(run.Processes, active.Length, top, confidence is not null))
            {
                // A plan that one process would have dropped by now does not count, although others have run it.
                var counted = run.Processes.Size == 1 ? active : Active(outcome.Indices[0], active);
                AddScores(scores, outcome, active, [.. counted.Select(plan => Array.IndexOf(active, plan))], [.. outcome.Indices.Select(index => images.Labels[index])], top);
                done++;
                run.Checkpoint?.Offer(() => new(done, [.. scores]));
                progress.Report(outcome.Indices[^1] + 1);
            }
        }

        return scores;

        // In the order of the plans; what none of the remaining images can make the best is dropped.
        int[] Active(int firstImage, IEnumerable<int> plans) =>
            [.. plans.Where(plan => pruning is null || plan == reference || !pruning(scores, plan, images.Count - firstImage))];

        BatchOutcome Encode(ImageBatch batch, int[] active)
        {
            using var scope = torch.NewDisposeScope();
            var (features, lengths) = (new SortedDictionary<int, Tensor>(), new SortedDictionary<int, Tensor>());
            var (device, type) = tower.Placement;
            var wanted = active.ToHashSet();
            runner.Run(
                batch.Images.to(type, device),
                tree,
                (plan, feature) =>
                {
                    features[plan] = ZeroShotClassifier.Normalize(feature).DetachFromDisposeScope();
                    if (confidence is not null)
                    {
                        lengths[plan] = TensorScope.Run(() => feature.to(torch.ScalarType.Float32).square().sum([1]).sqrt()).DetachFromDisposeScope();
                    }
                },
                wanted.Contains);
            scope.Attach(features.Values.Concat(lengths.Values));
            return BatchOutcome.Of(batch.Indices, features, lengths, classifier, reference, confidence);
        }
    }

    private static (int Batches, PlanScore[] Scores) Resume(EvaluationRun run, PlanTree tree, ClassificationCounts? counts) =>
        run.Checkpoint is not null && run.Checkpoint.TryLoad(out var state) && state.Scores.Count == tree.Plans.Count
            ? (state.Batches, [.. state.Scores])
            : (0, [.. Enumerable.Repeat(PlanScore.None with { Counts = counts }, tree.Plans.Count)]);

    // The plans of an outcome are those that were run; some of them count.
    private static void AddScores(PlanScore[] scores, BatchOutcome outcome, int[] plans, int[] counted, int[] labels, int top)
    {
        foreach (var position in counted)
        {
            var first = position * labels.Length;
            var classes = outcome.Top.AsSpan(first * top, labels.Length * top);
            long correct = 0, correctTop5 = 0;
            for (var image = 0; image < labels.Length; image++)
            {
                var likely = classes.Slice(image * top, top);
                correct += likely[0] == labels[image] ? 1 : 0;
                correctTop5 += likely.Contains(labels[image]) ? 1 : 0;
            }

            var score = scores[plans[position]];
            scores[plans[position]] = score with
            {
                Images = score.Images + labels.Length,
                Correct = score.Correct + correct,
                CorrectTop5 = score.CorrectTop5 + correctTop5,
                SquaredError = score.SquaredError + (outcome.Errors is { } errors ? errors[position] : 0),
                Counts = score.Counts?.Plus(labels, classes, outcome.Confidences.AsSpan(first, labels.Length)),
            };
        }
    }

    private static void RequireLabels(IImageSource images, ZeroShotClassifier classifier)
    {
        if (images.Labels.Count != images.Count)
        {
            throw new UserException("The images have no class labels; put them into one folder per class.");
        }

        if (images.Labels.Any(label => label >= classifier.Classes))
        {
            throw new UserException(
                $"The images have {images.Labels.Max() + 1} or more classes, but the classifier has {classifier.Classes}; use the class names that belong to these folders.");
        }
    }
}

/// <summary>What some plans say of a batch of images.</summary>
/// <param name="Indices">The images.</param>
/// <param name="Top">The most likely classes, by plan, image and place.</param>
/// <param name="Errors">By plan, the sum over images of the mean squared difference from the reference's feature; null without a reference.</param>
/// <param name="Confidences">By plan and image; null where nobody asked.</param>
internal sealed record BatchOutcome(IReadOnlyList<int> Indices, long[] Top, double[]? Errors, double[]? Confidences)
{
    /// <summary>That of no image.</summary>
    public static BatchOutcome Nothing { get; } = new([], [], null, null);

    /// <summary>Computes it for all plans together: one matrix product and one transfer from the device a batch.</summary>
    public static BatchOutcome Of(
        IReadOnlyList<int> indices,
        SortedDictionary<int, Tensor> features,
        SortedDictionary<int, Tensor> lengths,
        ZeroShotClassifier classifier,
        int? reference,
        ConfidenceRule? confidence)
    {
        var stacked = torch.stack([.. features.Values]);
        var similarities = stacked.matmul(classifier.Weights);
        return new(
            indices,
            similarities.topk(Math.Min(PlanEvaluation.TopClasses, classifier.Classes), -1).indexes.cpu().data<long>().ToArray(),
            reference is { } index
                ? (stacked - features[index]).square().mean([2], type: torch.ScalarType.Float64).sum(1).cpu().data<double>().ToArray()
                : null,
            // A search does without the exponentials of all classes.
            confidence?.Of(similarities, torch.stack([.. lengths.Values])).cpu().data<double>().ToArray());
    }

    /// <summary>Those of all processes in the set's order, without empty ones.</summary>
    /// <param name="processes">The processes.</param>
    /// <param name="plans">Number of plans P.</param>
    /// <param name="top">Classes of an image and plan.</param>
    /// <param name="hasConfidences">Whether they have confidences.</param>
    public IEnumerable<BatchOutcome> Gather(IProcessGroup processes, int plans, int top, bool hasConfidences)
    {
        if (processes.Size == 1)
        {
            return [this];
        }

        using var scope = torch.NewDisposeScope();
        int[] counts = [.. processes.GatherNumbers(Indices.Count, Errors is null ? 0 : 1).Select(numbers => (int)numbers[0])];
        var indices = processes.Gather(torch.tensor(Indices.Select(index => (long)index).ToArray())).data<long>().ToArray();

        // Images lead, because their number differs between processes.
        T[] ByPlan<T>(Tensor ofProcess) where T : unmanaged => ofProcess.transpose(0, 1).contiguous().data<T>().ToArray();
        var tops = processes.Gather(torch.tensor(Top, [plans, Indices.Count, top]).transpose(0, 1));
        var errors = processes.Gather(torch.tensor(Errors ?? [], Errors is null ? [0, plans] : [1, plans]));
        var confidences = hasConfidences
            ? processes.Gather(torch.tensor(Confidences ?? [], [plans, Indices.Count]).transpose(0, 1))
            : null;
        var outcomes = new List<BatchOutcome>();
        for (int rank = 0, first = 0; rank < processes.Size; first += counts[rank++])
        {
            if (counts[rank] > 0)
            {
                outcomes.Add(new(
                    [.. indices[first..(first + counts[rank])].Select(index => (int)index)],
                    ByPlan<long>(tops.narrow(0, first, counts[rank])),
                    errors.shape[0] == 0 ? null : errors[outcomes.Count].data<double>().ToArray(),
                    confidences is null ? null : ByPlan<double>(confidences.narrow(0, first, counts[rank]))));
            }
        }

        return outcomes;
    }
}

/// <summary>How a pass over a set of images is done.</summary>
/// <param name="Title">What the progress display calls it.</param>
/// <param name="BatchSize">Images in a batch.</param>
public sealed record EvaluationRun(string Title, int BatchSize)
{
    /// <summary>Told of the images done.</summary>
    public IWorkProgress Progress { get; init; } = SilentProgress.Instance;

    /// <summary>Where the state of the pass is kept, so that a killed run goes on; null keeps none.</summary>
    public StageCheckpoint<PassState>? Checkpoint { get; init; }

    /// <summary>Stops the pass.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>The processes that share the pass.</summary>
    public IProcessGroup Processes { get; init; } = SingleProcess.Instance;
}

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

    /// <summary>What happened on each class, and how sure the plan was; null where nobody asked for it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ClassificationCounts? Counts { get; init; }

    /// <summary>Top-1 accuracy in percent.</summary>
    public double Accuracy => 100.0 * Correct / Images;

    /// <summary>Top-5 accuracy in percent.</summary>
    public double AccuracyTop5 => 100.0 * CorrectTop5 / Images;

    /// <summary>Mean squared error of the normalised features against the reference plan.</summary>
    public double FeatureMse => SquaredError / Images;
}

/// <summary>What a pass has counted after some batches; going on from it gives the numbers of an unbroken pass.</summary>
/// <param name="Batches">Batches done.</param>
/// <param name="Scores">One entry for each plan.</param>
public sealed record PassState(int Batches, IReadOnlyList<PlanScore> Scores);
