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
internal sealed class PairEvaluation(ClipBatchMaker pairs, int batchSize, PairGrouping grouping)
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
        foreach (var batch in pairs.InOrder(batchSize, PairFeatures.Title))
        {
            var (image, text, terms) = TensorScope.Run(() =>
            {
                var image = ZeroShotClassifier.Normalize(model.ImageTower.Encode(batch.Images.to(model.ImageTower.Placement.Device)));
                var text = ZeroShotClassifier.Normalize(model.Text!.Encode(batch.TextIds.to(model.Text.Placement))).view(captions, batch.Count, -1);
                var loss = CaptionLoss.Of(image, text, model.LogitScale!.exp(), [.. Enumerable.Repeat(1.0, captions)]);
                return (image, text[0], torch.stack([.. loss.Terms]));
            });
            features.Add(batch.Indices, image, text);
            foreach (var (caption, term) in terms.to(torch.ScalarType.Float64).cpu().data<double>().ToArray().Index())
            {
                losses[caption] += term * batch.Count;
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
internal sealed class DistillEvaluation(ClipModel teacher, ClipBatchMaker pairs, int batchSize, PairGrouping grouping)
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
        var (similarities, loss) = (new List<Tensor>(), 0.0);
        foreach (var batch in pairs.InOrder(batchSize, PairFeatures.Title))
        {
            var (image, wanted, text, similarity, term) = TensorScope.Run(() =>
            {
                var images = batch.Images.to(student.Vision.Placement.Device);
                var image = ZeroShotClassifier.Normalize(student.Vision.Encode(images));
                var wanted = ZeroShotClassifier.Normalize(teacher.Vision.Encode(images));
                var text = ZeroShotClassifier.Normalize(teacher.Text!.Encode(batch.TextIds.to(teacher.Text.Placement)));
                return (image, wanted, text, (image * wanted).sum([1]), ContrastiveLoss.Of(image, text, teacher.LogitScale!.exp()));
            });
            ofStudent.Add(batch.Indices, image, text);
            ofTeacher.Add(batch.Indices, wanted, text);
            similarities.Add(similarity);
            loss += term.ToDouble() * batch.Count;
        }

        var (mean, median) = Similarity(torch.cat(similarities, 0));
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

    private readonly List<Tensor> _images = [], _texts = [];
    private readonly List<int> _indices = [];

    /// <summary>The names of the measures of one direction.</summary>
    public static IReadOnlyList<string> Measures { get; } = ["mean_rank", "median_rank", .. _depths.Select(depth => $"R@{depth}")];

    /// <summary>Number of pairs.</summary>
    public int Count => _indices.Count;

    /// <summary>Adds some pairs.</summary>
    /// <param name="indices">Which they are.</param>
    /// <param name="images">Image features [B,E] of unit length.</param>
    /// <param name="texts">Text features [B,E] of unit length.</param>
    public void Add(IReadOnlyList<int> indices, Tensor images, Tensor texts)
    {
        _indices.AddRange(indices);
        _images.Add(images);
        _texts.Add(texts);
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
        var texts = torch.cat(_texts, 0);
        var images = torch.cat(_images, 0).index_select(0, torch.tensor(first.Select(index => (long)index).ToArray(), device: texts.device));
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
