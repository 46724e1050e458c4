using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Evaluation;

/// <summary>Finding texts by images and images by texts (docs/methods/clip.md).</summary>
public static class Retrieval
{
    /// <summary>Measures a model on pairs; each image is to find its own text among all, and each text its image.</summary>
    /// <param name="clip">The model, with a text tower.</param>
    /// <param name="pairs">The pairs. Equal texts are equally similar, so an image may find any of them.</param>
    /// <param name="run">Batch size and progress.</param>
    /// <returns>Image to text, then text to image.</returns>
    /// <exception cref="UserException">The model has no text tower, or an image cannot be read.</exception>
    public static IReadOnlyList<RetrievalScore> Measure(LoadedClip clip, IPairSource pairs, EvaluationRun run)
    {
        var tokenizer = clip.RequireTokenizer();
        var (vision, text) = (clip.Model.Vision, clip.Model.Text!);
        var (device, type) = vision.Placement;
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        using var progress = run.Progress.Start(run.Title, pairs.Count, "pairs");
        var (images, texts) = (new List<Tensor>(), new List<Tensor>());
        foreach (var indices in Enumerable.Range(0, pairs.Count).Chunk(run.BatchSize))
        {
            run.Cancellation.ThrowIfCancellationRequested();
            using var batch = torch.NewDisposeScope();
            var ids = torch.tensor(tokenizer.EncodeBatch([.. indices.Select(pairs.Caption)]), [indices.Length, tokenizer.ContextLength]);
            images.Add(ZeroShotClassifier.Normalize(vision.Encode(Read(pairs, indices, clip.Preprocess).to(type, device))).MoveToOuterDisposeScope());
            texts.Add(ZeroShotClassifier.Normalize(text.Encode(ids.to(text.Placement))).MoveToOuterDisposeScope());
            progress.Report(indices[^1] + 1);
        }

        var (image, caption) = (torch.cat(images), torch.cat(texts));
        return [Score("image to text", image, caption), Score("text to image", caption, image)];
    }

    private static RetrievalScore Score(string direction, Tensor queries, Tensor targets)
    {
        var ranks = new MatchRanks(queries, targets);
        return new(
            direction, (int)queries.shape[0], 100 * ranks.RecallAt(1), 100 * ranks.RecallAt(5), 100 * ranks.RecallAt(10), ranks.Median);
    }

    private static Tensor Read(IPairSource pairs, int[] indices, PreprocessOptions preprocess)
    {
        var preprocessor = new ImagePreprocessor(preprocess);
        var length = preprocessor.OutputLength;
        var values = new float[indices.Length * length];
        try
        {
            Parallel.For(0, indices.Length, (int row) =>
            {
                using var image = pairs.Load(indices[row]);
                using var rgbImage = image.ToRgb();
                preprocessor.ToPlanes(rgbImage, values.AsSpan(row * length, length));
            });
        }
        catch (AggregateException exception) when (exception.InnerExceptions[0] is UserException cause)
        {
            throw new UserException(cause.Message, exception);
        }

        return torch.tensor(values, [indices.Length, 3, preprocess.Height, preprocess.Width]);
    }
}

/// <summary>
/// Ranks of the right answers among all: query i belongs to target i, and its rank, from 0, is the number of targets with a
/// strictly larger similarity.
/// </summary>
internal sealed class MatchRanks
{
    private const int Chunk = 1024;
    private readonly List<long> _ascending;

    /// <summary>Ranks queries [N,E] among targets [N,E], both normalised. The similarities are made in chunks of rows.</summary>
    public MatchRanks(Tensor queries, Tensor targets)
    {
        var count = (int)queries.shape[0];
        _ascending = new(count);
        for (var first = 0; first < count; first += Chunk)
        {
            using var scope = torch.NewDisposeScope();
            var rows = Math.Min(Chunk, count - first);
            var scores = queries.narrow(0, first, rows).matmul(targets.t());
            var own = scores.diagonal(first).narrow(0, 0, rows).unsqueeze(1);
            _ascending.AddRange((scores > own).to(torch.ScalarType.Int64).sum(1).cpu().data<long>().ToArray());
        }

        _ascending.Sort();
    }

    /// <summary>Mean rank, from 1.</summary>
    public double Mean => _ascending.Average() + 1;

    /// <summary>Median rank, from 1, rounded down.</summary>
    public double Median
    {
        get
        {
            var (half, odd) = Math.DivRem(_ascending.Count, 2);
            return Math.Floor(odd == 1 ? _ascending[half] : (_ascending[half - 1] + _ascending[half]) / 2.0) + 1;
        }
    }

    /// <summary>Share of queries whose target is among the best.</summary>
    public double RecallAt(int depth) => _ascending.Count(rank => rank < depth) / (double)_ascending.Count;
}

/// <summary>How well one side of image-text pairs finds the other.</summary>
/// <param name="Direction"><c>image to text</c> or <c>text to image</c>.</param>
/// <param name="Pairs">Number of pairs.</param>
/// <param name="RecallAt1">Percent of queries whose partner is the most similar one.</param>
/// <param name="RecallAt5">Percent of queries whose partner is among the five most similar.</param>
/// <param name="RecallAt10">Percent of queries whose partner is among the ten most similar.</param>
/// <param name="MedianRank">Median rank of the partner, from 1.</param>
public sealed record RetrievalScore(
    string Direction, int Pairs, double RecallAt1, double RecallAt5, double RecallAt10, double MedianRank);
