using System.Runtime.InteropServices;
using System.Security.Cryptography;
using CsvHelper;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// Retrieval by plans of the image encoder: all plans in one pass over the images, the text encoder in float, features ranked by
/// <see cref="RetrievalRanks"/> (docs/methods/clip.md).
/// </summary>
public static class RetrievalEvaluation
{
    /// <summary>Measures the float model, and keeps its features where a store is given.</summary>
    /// <exception cref="UserException">The model has no text tower, an image or caption cannot be read, or a feature is not finite.</exception>
    public static RetrievalResult Run(Experiment experiment, RetrievalSet set, FeatureStore? store = null) =>
        Run(experiment, set, [Float(experiment)], store).Single();

    /// <summary>The features of the float model, for whoever wants to know more than ranks tell.</summary>
    /// <param name="experiment">The model, batch size, and what happens to unreadable images.</param>
    /// <param name="set">The images and captions.</param>
    /// <param name="store">Where features are kept; null: nowhere.</param>
    /// <returns>The features, which the caller disposes.</returns>
    /// <exception cref="UserException">The model has no text tower, or an image or caption cannot be read.</exception>
    public static RetrievalFeatures Features(Experiment experiment, RetrievalSet set, FeatureStore? store = null)
    {
        var tokens = CaptionTokens.Of(experiment.Clip, set);
        var images = experiment.Add(set);
        using var captions = CaptionFeatures(experiment, tokens, store);
        using var table = ImageFeatures(experiment, images, [Float(experiment)], store).Single();
        TellMissing(experiment, images, [table]);
        return TensorScope.Keep(TensorScope.Run(() => RetrievalFeatures.Of(table, captions.Features, tokens.Rows, set) with
        {
            Images = table.Features.clone(),
            Source = images,
        }));
    }

    /// <summary>Measures plans.</summary>
    /// <param name="experiment">The model, batch size, and what happens to unreadable images.</param>
    /// <param name="set">The images and captions.</param>
    /// <param name="plans">The plans.</param>
    /// <param name="store">Where features are kept, which one process does alone; null: nowhere.</param>
    /// <returns>A result for each plan, in their order. Captions of images that were left out are left out, too.</returns>
    /// <exception cref="UserException">The model has no text tower, an image or caption cannot be read, or a feature is not finite.</exception>
    public static IReadOnlyList<RetrievalResult> Run(
        Experiment experiment, RetrievalSet set, IReadOnlyList<RetrievalPlan> plans, FeatureStore? store = null)
    {
        // Before the images, for it is over sooner.
        var tokens = CaptionTokens.Of(experiment.Clip, set);
        var images = experiment.Add(set);
        using var captions = CaptionFeatures(experiment, tokens, store);
        var tables = ImageFeatures(experiment, images, plans, store);
        TellMissing(experiment, images, tables);
        try
        {
            using var progress = experiment.Progress.Start("ranking", plans.Count, "plans");
            return [.. plans.Zip(tables).Select((pair, index) =>
            {
                using var scope = torch.NewDisposeScope();
                var features = RetrievalFeatures.Of(pair.Second, captions.Features, tokens.Rows, set);
                var result = new RetrievalResult(pair.First.Name, features.Rank(experiment.Cancellation));
                progress.Report(index + 1);
                return result;
            })];
        }
        finally
        {
            tables.ToList().ForEach(table => table.Dispose());
        }
    }

    private static RetrievalPlan Float(Experiment experiment) => new("float", "float", EncoderPlan.Plain(experiment.ImageTower.PlannedBlocks));

    // Images that an earlier run left out: this one has not tried to read them.
    private static void TellMissing(Experiment experiment, ImageSetSource images, IReadOnlyList<FeatureTable> tables)
    {
        int[] missing = [.. Enumerable.Range(0, images.Count).Except(tables[0].Rows)];
        if (missing.Length > images.Unreadable.Count)
        {
            experiment.Progress.Message($"{missing.Length} unreadable images are left out: {string.Join(", ", missing.Select(images.Name))}.");
        }
    }

    private static FeatureTable CaptionFeatures(Experiment experiment, CaptionTokens tokens, FeatureStore? store)
    {
        const string title = "captions";
        var key = StageKey.Of(new { Features = title, Model = experiment.ModelKey, Ids = tokens.Hash, experiment.Options.BatchSize });
        IEnumerable<FeatureBatch> Pass(int first) => Captions(experiment, tokens, title, first);
        return Alone(store)?.GetOrCompute([key], title, (_, first) => Pass(first)).Single() ?? Collect(Pass(0), 1).Single();
    }

    private static IEnumerable<FeatureBatch> Captions(Experiment experiment, CaptionTokens tokens, string title, int first)
    {
        var (tower, run) = (experiment.Model.Text!, experiment.Pass(title));
        using var noGradient = torch.no_grad();
        using var progress = run.Progress.Start(title, tokens.Count, "captions", first);
        foreach (var batch in Together(run.Processes, Own(), 1, experiment.ImageTower.Features))
        {
            yield return batch;
            progress.Report(batch.End);
        }

        IEnumerable<FeatureBatch?> Own()
        {
            foreach (var round in Enumerable.Range(first, tokens.Count - first).Chunk(run.BatchSize).Chunk(run.Processes.Size))
            {
                run.Cancellation.ThrowIfCancellationRequested();
                yield return run.Processes.Rank < round.Length && round[run.Processes.Rank] is var rows
                    ? new(rows, rows[^1] + 1, [Kept(() => tower.Encode(tokens.Take(rows[0], rows.Length).to(tower.Placement)))])
                    : null;
            }
        }
    }

    private static IReadOnlyList<FeatureTable> ImageFeatures(
        Experiment experiment, ImageSetSource images, IReadOnlyList<RetrievalPlan> plans, FeatureStore? store)
    {
        const string title = "images";
        IEnumerable<FeatureBatch> Pass(IReadOnlyList<int> wanted, int first) =>
            Images(experiment, images, new PlanTree([.. wanted.Select(plan => plans[plan].Plan)]), title, first);
        if (Alone(store) is null)
        {
            return Collect(Pass([.. Enumerable.Range(0, plans.Count)], 0), plans.Count);
        }

        var keys = plans.Select(plan => StageKey.Of(new
        {
            Features = title,
            Model = experiment.ModelKey,
            Execution = $"{experiment.Backend?.Mode}",
            Data = images.Fingerprint,
            experiment.Options.BatchSize,
            experiment.Options.SkipBadImages,
            Plan = plan.Key,
        }));
        return store!.GetOrCompute([.. keys], title, Pass);
    }

    // Several processes would have to agree about the parts that an earlier run has left.
    private static FeatureStore? Alone(FeatureStore? store) => Processes.Launched == 1 ? store : null;

    private static IEnumerable<FeatureBatch> Images(Experiment experiment, ImageSetSource images, PlanTree tree, string title, int first)
    {
        var (tower, run) = (experiment.ImageTower, experiment.Pass(title));
        var (device, type) = tower.Placement;
        using var runner = new PlanRunner(tower);
        using var progress = run.Progress.Start(title, images.Count, "images", Math.Min(first, images.Count));
        foreach (var batch in Together(run.Processes, Own(), tree.Plans.Count, tower.Features))
        {
            yield return batch;
            progress.Report(Math.Min(batch.End, images.Count));
        }

        IEnumerable<FeatureBatch?> Own() =>
            images.ReadShare(run.Processes, run.BatchSize, first / run.BatchSize, run.Cancellation).Select(batch => batch is null ? null : Encode(batch));

        FeatureBatch Encode(ImageBatch batch)
        {
            var features = new Tensor[tree.Plans.Count];
            using (var scope = torch.NewDisposeScope())
            {
                using var owned = batch;
                runner.Run(batch.Images.to(type, device), tree, (plan, feature) => features[plan] = Kept(() => feature.alias()));
            }

            // Images at the end of a batch may be unreadable; the next batch begins behind them all the same.
            var end = (batch.Indices[^1] / run.BatchSize + 1) * run.BatchSize;
            return new(batch.Indices, end, features);
        }
    }

    // What the processes compute in a round, for all of them, in the order of one process.
    private static IEnumerable<FeatureBatch> Together(IProcessGroup processes, IEnumerable<FeatureBatch?> own, int plans, long width)
    {
        foreach (var batch in own)
        {
            if (processes.Size == 1)
            {
                yield return batch!;
                continue;
            }

            var sizes = processes.GatherNumbers(batch?.Rows.Count ?? 0, batch?.End ?? 0);
            using var ownRows = torch.tensor((batch?.Rows ?? []).Select(row => (long)row).ToArray());
            using var gathered = processes.Gather(ownRows);
            var rows = gathered.data<long>().ToArray();
            var features = Enumerable.Range(0, plans).Select(plan => processes.Gather(batch?.Features[plan] ?? torch.zeros(0, width)).DetachFromDisposeScope()).ToList();
            batch?.Dispose();
            var first = 0;
            foreach (var (count, end) in sizes.Select(size => ((int)size[0], (int)size[1])).Where(size => size.Item1 > 0))
            {
                yield return new(
                    [.. rows[first..(first + count)].Select(row => (int)row)], end, [.. features.Select(all => all.narrow(0, first, count).clone().DetachFromDisposeScope())]);
                first += count;
            }

            features.ForEach(feature => feature.Dispose());
        }
    }

    private static FeatureTable[] Collect(IEnumerable<FeatureBatch> pass, int plans)
    {
        var batches = pass.ToList();
        int[] rows = [.. batches.SelectMany(batch => batch.Rows)];
        FeatureTable[] tables =
        [
            .. Enumerable.Range(0, plans).Select(plan => TensorScope.Keep(
                new FeatureTable(TensorScope.Run(() => torch.cat([.. batches.Select(batch => batch.Features[plan])])), rows))),
        ];
        batches.ForEach(batch => batch.Dispose());
        return tables;
    }

    // Features of unit length in memory, whatever scope the pass runs in.
    private static Tensor Kept(Func<Tensor> make) => TensorScope.Keep(TensorScope.Run(() => ZeroShotClassifier.Normalize(make()).cpu().contiguous()));

    /// <summary>The token ids of a set's captions. Equal captions are encoded once, so that their features are equal, too.</summary>
    /// <param name="ids">The ids, one text after the other.</param>
    /// <param name="context">Ids of a text.</param>
    /// <param name="rows">The text of each caption.</param>
    private sealed class CaptionTokens(long[] ids, int context, IReadOnlyList<int> rows)
    {
        /// <summary>Number of different texts.</summary>
        public int Count => ids.Length / context;

        /// <summary>The text of each caption.</summary>
        public IReadOnlyList<int> Rows => rows;

        /// <summary>SHA-256 of the ids: the same texts by the same tokenizer.</summary>
        public string Hash => Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes<long>(ids)));

        public static CaptionTokens Of(LoadedClip clip, RetrievalSet set)
        {
            var tokenizer = clip.RequireTokenizer();
            var texts = new OrderedDictionary<string, int>();
            int[] rows = [.. set.Captions.Select(caption =>
            {
                texts.TryAdd(caption.Text, texts.Count);
                return texts[caption.Text];
            })];
            return new(tokenizer.EncodeBatch([.. texts.Keys]), tokenizer.ContextLength, rows);
        }

        public Tensor Take(int first, int count) => torch.tensor(ids.AsSpan(first * context, count * context).ToArray(), [count, context]);
    }
}

/// <summary>A way to run the image encoder.</summary>
/// <param name="Name">Its name, for tables.</param>
/// <param name="Key">Says all that the plan is made of, ranges included: equal keys mean equal features.</param>
/// <param name="Plan">The plan.</param>
public sealed record RetrievalPlan(string Name, string Key, EncoderPlan Plan);

/// <summary>Features of those images and captions of a set that could be read.</summary>
/// <param name="Images">Features of unit length [N,E], float32 on the CPU.</param>
/// <param name="Captions">Features of unit length [M,E], float32 on the CPU.</param>
/// <param name="ImageRows">The place in the set of each of these images.</param>
/// <param name="CaptionRows">The place in the set of each of these captions.</param>
/// <param name="ImageOf">For each caption the row of its image in <paramref name="Images"/>.</param>
public sealed record RetrievalFeatures(
    Tensor Images, Tensor Captions, IReadOnlyList<int> ImageRows, IReadOnlyList<int> CaptionRows, IReadOnlyList<int> ImageOf) : ITensorHolder, IDisposable
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => [Images, Captions];

    /// <summary>Where the images come from; null where nobody asked for them.</summary>
    public ImageSetSource? Source { get; init; }

    /// <summary>Ranks them in both directions.</summary>
    /// <exception cref="UserException">A feature is not finite.</exception>
    public RetrievalRanks Rank(CancellationToken cancellation = default) => RetrievalRanks.Of(Images, Captions, ImageOf, cancellation);

    /// <inheritdoc />
    public void Dispose() => Tensors.ToList().ForEach(tensor => tensor.Dispose());

    /// <summary>The features of a set: captions of images that were left out are left out, too.</summary>
    internal static RetrievalFeatures Of(FeatureTable images, Tensor texts, IReadOnlyList<int> textOf, RetrievalSet set)
    {
        var places = images.Rows.Index().ToDictionary(pair => pair.Item, pair => pair.Index);
        int[] kept = [.. Enumerable.Range(0, set.Captions.Count).Where(caption => places.ContainsKey(set.Captions[caption].Image))];
        var captions = texts.index_select(0, torch.tensor(kept.Select(caption => (long)textOf[caption]).ToArray()));
        return new(images.Features, captions, images.Rows, kept, [.. kept.Select(caption => places[set.Captions[caption].Image])]);
    }
}

/// <summary>A row of <c>retrieval.csv</c>; recalls in percent, ranks from 1.</summary>
/// <param name="Dataset">The set.</param>
/// <param name="Split">Its part.</param>
/// <param name="Model">The model.</param>
/// <param name="Plan">The plan's name.</param>
/// <param name="Baseline">The quantizer, or <c>float</c>.</param>
/// <param name="Bits">Bit-widths; empty in float.</param>
/// <param name="T">Block of the prefix; empty without one.</param>
/// <param name="Tau">Prefix tokens.</param>
/// <param name="K">Block before which tokens are deleted; empty without deletion.</param>
/// <param name="Kd">Deleted tokens.</param>
/// <param name="Merging">How tokens merge; empty: they do not.</param>
/// <param name="I2tR1">Image to text, recall at 1.</param>
/// <param name="I2tR5">Image to text, recall at 5.</param>
/// <param name="I2tR10">Image to text, recall at 10.</param>
/// <param name="I2tMeanRank">Image to text, mean rank.</param>
/// <param name="I2tMedianRank">Image to text, median rank.</param>
/// <param name="T2iR1">Text to image, recall at 1.</param>
/// <param name="T2iR5">Text to image, recall at 5.</param>
/// <param name="T2iR10">Text to image, recall at 10.</param>
/// <param name="T2iMeanRank">Text to image, mean rank.</param>
/// <param name="T2iMedianRank">Text to image, median rank.</param>
/// <param name="NImages">Images.</param>
/// <param name="NCaptions">Captions.</param>
[CsvRecord]
public sealed partial record RetrievalRow(
    string Dataset,
    string Split,
    string Model,
    string Plan,
    string Baseline,
    string Bits,
    int? T,
    int Tau,
    int? K,
    int Kd,
    string Merging,
    double I2tR1,
    double I2tR5,
    double I2tR10,
    double I2tMeanRank,
    double I2tMedianRank,
    double T2iR1,
    double T2iR5,
    double T2iR10,
    double T2iMeanRank,
    double T2iMedianRank,
    int NImages,
    int NCaptions);
