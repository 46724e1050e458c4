using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// Validation on image-text pairs: the loss, and rank and recall of each image's own texts among all texts, and the other way round,
/// under OpenCLIP's names. With long and short captions the loss is the sum of both terms, and the long ones are ranked.
/// </summary>
/// <param name="pairs">The pairs, without random crops.</param>
/// <param name="batchSize">Pairs in a batch; the loss is the mean of the batches' losses, weighted by their size.</param>
/// <param name="grouping">Which pairs show one image.</param>
/// <param name="processes">The processes, each of which encodes a part of the pairs.</param>
internal sealed class PairEvaluation(ClipBatchMaker pairs, int batchSize, PairGrouping grouping, IProcessGroup processes)
{
    private static readonly string[] _termNames = ["val/contrastive_loss", "val/contrastive_loss_short"];

    /// <summary>Measures a model.</summary>
    /// <returns>Numbers under <c>val/</c>; recalls are shares from 0 to 1, ranks begin at 1.</returns>
    /// <exception cref="UserException">A pair cannot be read and is not left out, or none can.</exception>
    public IReadOnlyDictionary<string, double> Run(ClipModel model)
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var captions = pairs.Captions.Count;
        var features = new PairFeatures();
        var losses = new double[captions];
        foreach (var batch in pairs.InOrder(PairFeatures.ShareOf(batchSize, processes), PairFeatures.Title, processes))
        {
            var (image, text) = TensorScope.Run(() => (
                ZeroShotClassifier.Normalize(model.ImageTower.Encode(batch.Images.to(model.ImageTower.Placement.Device))),
                ZeroShotClassifier.Normalize(model.Text!.Encode(batch.TextIds.to(model.Text.Placement))).view(captions, batch.Count, -1).transpose(0, 1)));
            features.Add(batch.Indices, image, text);
        }

        features.Gather(processes);
        foreach (var (images, texts, count) in features.Batches(batchSize))
        {
            var loss = CaptionLoss.Of(images, texts.transpose(0, 1), model.LogitScale!.exp(), [.. Enumerable.Repeat(1.0, captions)]);
            foreach (var (caption, term) in loss.Terms.Index())
            {
                losses[caption] += term.ToDouble() * count;
            }
        }

        var metrics = new OrderedDictionary<string, double> { ["val/clip_val_loss"] = losses.Sum() / features.Count };
        if (captions > 1)
        {
            foreach (var (name, loss) in _termNames.Zip(losses))
            {
                metrics[name] = loss / features.Count;
            }
        }

        features.AddRanks(metrics, "val/", pairs, grouping);
        metrics["val/num_samples"] = features.Count;
        return metrics;
    }
}

/// <summary>
/// Validation of a student against its teacher: the cosine of their image features, and how well the student's images and the teacher's texts
/// find each other, beside the teacher's own images (docs/methods/memory.md, "Validation"). All features are normalised.
/// </summary>
/// <param name="teacher">The teacher.</param>
/// <param name="pairs">The pairs, without random crops.</param>
/// <param name="batchSize">Pairs in a batch.</param>
/// <param name="grouping">Which pairs show one image.</param>
/// <param name="processes">The processes, each of which encodes a part of the pairs.</param>
internal sealed class DistillEvaluation(ClipModel teacher, ClipBatchMaker pairs, int batchSize, PairGrouping grouping, IProcessGroup processes)
{
    private static readonly string[] _ranks =
        [.. from direction in new[] { "image_to_text", "text_to_image" } from measure in PairFeatures.Measures select $"{direction}_{measure}"];

    /// <summary>The names of what is measured, without <c>val/</c>.</summary>
    public static IReadOnlyList<string> Metrics { get; } =
        ["clip_val_loss", "similarity_mean", "similarity_median", .. _ranks, .. _ranks.Select(name => $"teacher_{name}")];

    /// <summary>Measures a student.</summary>
    /// <returns>Numbers under <c>val/</c>; recalls are shares from 0 to 1, ranks begin at 1.</returns>
    /// <exception cref="UserException">A pair cannot be read and is not left out, or none can.</exception>
    public IReadOnlyDictionary<string, double> Run(ClipModel student)
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var (ofStudent, ofTeacher) = (new PairFeatures(), new PairFeatures());
        var loss = 0.0;
        foreach (var batch in pairs.InOrder(PairFeatures.ShareOf(batchSize, processes), PairFeatures.Title, processes))
        {
            var (image, wanted, text) = TensorScope.Run(() =>
            {
                var images = batch.Images.to(student.Vision.Placement.Device);
                var image = ZeroShotClassifier.Normalize(student.Vision.Encode(images));
                var wanted = ZeroShotClassifier.Normalize(teacher.Vision.Encode(images));
                return (image, wanted, ZeroShotClassifier.Normalize(teacher.Text!.Encode(batch.TextIds.to(teacher.Text.Placement))).unsqueeze(1));
            });
            ofStudent.Add(batch.Indices, image, text);
            ofTeacher.Add(batch.Indices, wanted, text);
        }

        ofStudent.Gather(processes);
        ofTeacher.Gather(processes);
        foreach (var (images, texts, count) in ofStudent.Batches(batchSize))
        {
            loss += ContrastiveLoss.Of(images, texts.select(1, 0), teacher.LogitScale!.exp()).ToDouble() * count;
        }

        var (mean, median) = Similarity((ofStudent.Images * ofTeacher.Images).sum([1]));
        var metrics = new OrderedDictionary<string, double>
        {
            ["val/clip_val_loss"] = loss / ofStudent.Count,
            ["val/similarity_mean"] = mean,
            ["val/similarity_median"] = median,
        };
        ofStudent.AddRanks(metrics, "val/", pairs, grouping);
        ofTeacher.AddRanks(metrics, "val/teacher_", pairs, grouping);
        metrics["val/num_samples"] = ofStudent.Count;
        return metrics;
    }

    /// <summary>Mean and median of cosines [B]; of an even number the median is the lower one of the two in the middle.</summary>
    public static (double Mean, double Median) Similarity(Tensor cosines) =>
        (cosines.mean().ToDouble(), cosines.sort().Values[(cosines.shape[0] - 1) / 2].ToDouble());
}

/// <summary>The features of pairs, and how their images and texts find each other.</summary>
internal sealed class PairFeatures
{
    /// <summary>What the pairs are called in messages.</summary>
    public const string Title = "validation";

    private static readonly int[] _depths = [1, 5, 10];

    private List<Tensor> _images = [], _texts = [];
    private List<int> _indices = [];

    /// <summary>The names of the measures of one direction.</summary>
    public static IReadOnlyList<string> Measures { get; } = ["mean_rank", "median_rank", .. _depths.Select(depth => $"R@{depth}")];

    /// <summary>Number of pairs.</summary>
    public int Count => _indices.Count;

    /// <summary>Adds some pairs.</summary>
    /// <param name="indices">Which they are.</param>
    /// <param name="images">Image features [B,E] of unit length.</param>
    /// <param name="texts">Text features [B,T,E] of unit length, of T captions each.</param>
    public void Add(IReadOnlyList<int> indices, Tensor images, Tensor texts)
    {
        _indices.AddRange(indices);
        _images.Add(images);
        _texts.Add(texts);
    }

    /// <summary>Image features of all pairs [N,E].</summary>
    public Tensor Images => torch.cat(_images, 0);

    /// <summary>How many pairs a process encodes at once, so that all together have as many as one process.</summary>
    public static int ShareOf(int batchSize, IProcessGroup processes) => Math.Max(1, batchSize / processes.Size);

    /// <summary>Adds the pairs of all other processes; all have been added by theirs, in the order of the processes.</summary>
    public void Gather(IProcessGroup processes)
    {
        if (processes.Size == 1)
        {
            return;
        }

        var width = processes.GatherNumbers(_images.Count == 0 ? [0, 0] : [_texts[0].shape[1], _texts[0].shape[2]]).First(numbers => numbers[1] > 0);
        var (captions, features) = ((long)width[0], (long)width[1]);
        using var indices = torch.tensor(_indices.Select(index => (long)index).ToArray());
        using var all = processes.Gather(indices);
        _images = [processes.Gather(_images.Count == 0 ? torch.zeros(0, features) : torch.cat(_images, 0))];
        _texts = [processes.Gather(_texts.Count == 0 ? torch.zeros(0, captions, features) : torch.cat(_texts, 0))];
        _indices = [.. all.data<long>().ToArray().Select(index => (int)index)];
    }

    /// <summary>The pairs again in batches of the set's order, which lack those that could not be read.</summary>
    /// <param name="batchSize">Pairs in a batch.</param>
    public IEnumerable<(Tensor Images, Tensor Texts, int Count)> Batches(int batchSize)
    {
        var (images, texts, first) = (Images, torch.cat(_texts, 0), 0);
        foreach (var batch in _indices.GroupBy(index => index / batchSize))
        {
            var count = batch.Count();
            yield return (images.narrow(0, first, count), texts.narrow(0, first, count), count);
            first += count;
        }
    }

    /// <summary>Ranks both directions.</summary>
    /// <param name="metrics">Receives the measures.</param>
    /// <param name="prefix">What their names begin with.</param>
    /// <param name="pairs">Where the pairs come from.</param>
    /// <param name="grouping">Which pairs show one image.</param>
    public void AddRanks(OrderedDictionary<string, double> metrics, string prefix, ClipBatchMaker pairs, PairGrouping grouping)
    {
        int[] imageOf = grouping == PairGrouping.Sharegpt4v ? [.. Enumerable.Range(0, Count)] : ImagesOf(pairs);
        int[] first = [.. imageOf.Index().GroupBy(pair => pair.Item).OrderBy(group => group.Key).Select(group => group.First().Index)];
        var texts = torch.cat(_texts, 0).select(1, 0);
        var images = Images.index_select(0, torch.tensor(first.Select(index => (long)index).ToArray(), device: texts.device));
        foreach (var (name, value) in RanksOf(images, texts, imageOf, prefix))
        {
            metrics[name] = value;
        }
    }

    /// <summary>The measures of both directions.</summary>
    /// <param name="images">Image features [N,E] of unit length.</param>
    /// <param name="texts">Text features [M,E] of unit length.</param>
    /// <param name="imageOf">The image of each text.</param>
    /// <param name="prefix">What their names begin with.</param>
    public static OrderedDictionary<string, double> RanksOf(Tensor images, Tensor texts, int[] imageOf, string prefix)
    {
        var metrics = new OrderedDictionary<string, double>();
        var ranks = RetrievalRanks.Of(images, texts, imageOf);
        foreach (var (direction, list) in new[] { ("image_to_text", ranks.ImageToText), ("text_to_image", ranks.TextToImage) })
        {
            metrics[$"{prefix}{direction}_mean_rank"] = list.Mean;
            metrics[$"{prefix}{direction}_median_rank"] = list.Median;
            foreach (var depth in _depths)
            {
                metrics[$"{prefix}{direction}_R@{depth}"] = list.RecallAt(depth);
            }
        }

        return metrics;
    }

    // Images are numbered as they are first met.
    private int[] ImagesOf(ClipBatchMaker pairs)
    {
        var numbers = new Dictionary<string, int>();
        return [.. _indices.Select(index => pairs.ImageKey(index)).Select(key => numbers.TryGetValue(key, out var number) ? number : numbers[key] = numbers.Count)];
    }
}
