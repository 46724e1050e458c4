using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Evaluation;

/// <summary>Finding texts by images and images by texts (clip.md, section 14).</summary>
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
                using var image = pairs.LoadImage(indices[row]);
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
