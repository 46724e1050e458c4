using System.Numerics;
using System.Runtime.InteropServices;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// Ranks of retrieval in both directions (docs/methods/clip.md), for images that have one or several captions. A rank, from 0, is the
/// number of strictly more similar wrong answers, so ties count for the query: a caption's rank is that of its image among all images, an
/// image's the best of its captions' among all captions.
/// </summary>
/// <param name="ImageToText">A rank for each image.</param>
/// <param name="TextToImage">A rank for each caption.</param>
public sealed record RetrievalRanks(RankList ImageToText, RankList TextToImage)
{
    private const int MostImages = 512;
    private const int MostCaptions = 2560;

    /// <summary>
    /// Ranks images and captions. Similarities are made block by block: the blocks that hold own pairs first, which give the scores that
    /// others have to beat, then all. So memory is that of the features, and a score is always compared with one that was computed alike.
    /// </summary>
    /// <param name="images">Features of unit length [N,E], float32.</param>
    /// <param name="captions">Features of unit length [M,E], float32.</param>
    /// <param name="imageOf">The image of each caption; every image has a caption.</param>
    /// <param name="cancellation">Stops at the next row of blocks.</param>
    /// <exception cref="ArgumentException">The numbers do not fit, or an image has no caption.</exception>
    /// <exception cref="UserException">A feature is not finite.</exception>
    public static RetrievalRanks Of(Tensor images, Tensor captions, IReadOnlyList<int> imageOf, CancellationToken cancellation = default)
    {
        var (imageCount, captionCount) = ((int)images.shape[0], imageOf.Count);
        if (captions.shape[0] != captionCount || imageOf.ToHashSet().Count != imageCount || imageOf.Any(image => image < 0 || image >= imageCount))
        {
            throw new ArgumentException($"{captions.shape[0]} captions of {imageOf.ToHashSet().Count} images do not fit {imageCount} images and {captionCount} owners.", nameof(imageOf));
        }

        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        RequireFinite(images, "an image");
        RequireFinite(captions, "a caption");
        // Captions of an image stand together, so that few blocks hold all own pairs.
        int[] order = [.. Enumerable.Range(0, captionCount).OrderBy(caption => imageOf[caption])];
        int[] owners = [.. order.Select(caption => imageOf[caption])];
        var sorted = captions.index_select(0, torch.tensor(order.Select(caption => (long)caption).ToArray(), device: captions.device));
        var blocks = Block.Divide(owners, imageCount, images, sorted);
        var (byImage, byCaption) = (new long[imageCount], new long[captionCount]);
        foreach (var rows in blocks)
        {
            cancellation.ThrowIfCancellationRequested();
            var counts = byImage.AsSpan(rows.FirstImage, rows.Best.Length);
            foreach (var columns in blocks)
            {
                using var block = torch.NewDisposeScope();
                var scores = rows.Images.matmul(columns.Captions).cpu().contiguous();
                CountLarger(MemoryMarshal.Cast<byte, float>(scores.bytes), rows.Best, columns.Own, counts, columns.Larger);
            }
        }

        foreach (var block in blocks)
        {
            for (var index = 0; index < block.Larger.Length; index++)
            {
                byCaption[order[block.FirstCaption + index]] = block.Larger[index];
            }
        }

        return new(new(byImage), new(byCaption));
    }

    // One pass over a block for both directions.
    private static void CountLarger(ReadOnlySpan<float> scores, float[] best, float[] own, Span<long> byRow, int[] byColumn)
    {
        for (var row = 0; row < best.Length; row++)
        {
            var line = scores.Slice(row * own.Length, own.Length);
            var least = new Vector<float>(best[row]);
            var inRow = Vector<int>.Zero;
            var column = 0;
            for (; column <= own.Length - Vector<float>.Count; column += Vector<float>.Count)
            {
                // A comparison gives -1 where it holds.
                var values = new Vector<float>(line[column..]);
                inRow -= Vector.GreaterThan(values, least);
                (new Vector<int>(byColumn, column) - Vector.GreaterThan(values, new Vector<float>(own, column))).CopyTo(byColumn, column);
            }

            byRow[row] += Vector.Sum(inRow);
            for (; column < own.Length; column++)
            {
                byRow[row] += line[column] > best[row] ? 1 : 0;
                byColumn[column] += line[column] > own[column] ? 1 : 0;
            }
        }
    }

    private static void RequireFinite(Tensor features, string what)
    {
        if (!features.isfinite().all().item<bool>())
        {
            throw new UserException($"A feature of {what} is not finite, so nothing can be ranked: check the model, or run it in another precision.");
        }
    }

    /// <summary>Some images, their captions, and the scores of their own pairs.</summary>
    private sealed record Block(int FirstImage, int FirstCaption, Tensor Images, Tensor Captions, float[] Best, float[] Own)
    {
        /// <summary>For each caption the images so far that are more similar than its own.</summary>
        public int[] Larger { get; } = new int[Own.Length];

        public static List<Block> Divide(int[] owners, int imageCount, Tensor images, Tensor captions)
        {
            var blocks = new List<Block>();
            for (int image = 0, caption = 0; image < imageCount;)
            {
                var (lastImage, lastCaption) = (image, caption);
                do
                {
                    var end = lastCaption;
                    while (end < owners.Length && owners[end] == lastImage)
                    {
                        end++;
                    }

                    if (lastImage > image && end - caption > MostCaptions)
                    {
                        break;
                    }

                    (lastImage, lastCaption) = (lastImage + 1, end);
                }
                while (lastImage < imageCount && lastImage - image < MostImages);

                blocks.Add(Make(owners.AsSpan(caption, lastCaption - caption), image, caption, images.narrow(0, image, lastImage - image), captions.narrow(0, caption, lastCaption - caption).t()));
                (image, caption) = (lastImage, lastCaption);
            }

            return blocks;
        }

        private static Block Make(ReadOnlySpan<int> owners, int firstImage, int firstCaption, Tensor images, Tensor captions)
        {
            using var scope = torch.NewDisposeScope();
            var rows = new long[owners.Length];
            for (var index = 0; index < rows.Length; index++)
            {
                rows[index] = owners[index] - firstImage;
            }

            var owner = torch.tensor(rows, device: images.device);
            var isOwn = torch.arange(images.shape[0], device: images.device).unsqueeze(1) == owner;
            var own = torch.where(isOwn, images.matmul(captions), torch.tensor(float.NegativeInfinity, device: images.device));
            return new(firstImage, firstCaption, images, captions, [.. own.amax([1]).cpu().data<float>()], [.. own.amax([0]).cpu().data<float>()]);
        }
    }
}

/// <summary>The ranks of some queries, from 0.</summary>
/// <param name="ranks">A rank for each query.</param>
public sealed class RankList(IReadOnlyList<long> ranks)
{
    private readonly long[] _ascending = [.. ranks.Order()];

    /// <summary>The rank of each query, in the order of the queries.</summary>
    public IReadOnlyList<long> Ranks => ranks;

    /// <summary>Mean rank, from 1.</summary>
    public double Mean => _ascending.Average() + 1;

    /// <summary>Median rank, from 1, rounded down.</summary>
    public double Median
    {
        get
        {
            var (half, odd) = Math.DivRem(_ascending.Length, 2);
            return Math.Floor(odd == 1 ? _ascending[half] : (_ascending[half - 1] + _ascending[half]) / 2.0) + 1;
        }
    }

    /// <summary>Share of queries that have a right answer among the best.</summary>
    public double RecallAt(int depth) => Within(depth) / (double)_ascending.Length;

    /// <summary>Percent of queries that have a right answer among the best.</summary>
    public double PercentAt(int depth) => 100.0 * Within(depth) / _ascending.Length;

    private int Within(int depth) => _ascending.Count(rank => rank < depth);
}

/// <summary>How well one side of a set finds the other.</summary>
/// <param name="Direction"><c>image to text</c> or <c>text to image</c>.</param>
/// <param name="Queries">Number of queries.</param>
/// <param name="RecallAt1">Percent of queries whose best answer is right.</param>
/// <param name="RecallAt5">Percent of queries with a right answer among the best five.</param>
/// <param name="RecallAt10">Percent of queries with a right answer among the best ten.</param>
/// <param name="MeanRank">Mean rank of the first right answer, from 1.</param>
/// <param name="MedianRank">Median rank of the first right answer, from 1, rounded down.</param>
public sealed record RetrievalScore(
    string Direction, int Queries, double RecallAt1, double RecallAt5, double RecallAt10, double MeanRank, double MedianRank)
{
    /// <summary>The measures of some ranks.</summary>
    public static RetrievalScore Of(string direction, RankList ranks) => new(
        direction,
        ranks.Ranks.Count,
        ranks.PercentAt(1),
        ranks.PercentAt(5),
        ranks.PercentAt(10),
        ranks.Mean,
        ranks.Median);
}

/// <summary>Retrieval on a set, in both directions.</summary>
/// <param name="Plan">The name of the plan that the image encoder ran by.</param>
/// <param name="Ranks">The ranks of all queries.</param>
public sealed record RetrievalResult(string Plan, RetrievalRanks Ranks)
{
    private static readonly int[] _depths = [1, 5, 10];

    /// <summary>Images find captions.</summary>
    public RetrievalScore ImageToText { get; } = RetrievalScore.Of("image to text", Ranks.ImageToText);

    /// <summary>Captions find images.</summary>
    public RetrievalScore TextToImage { get; } = RetrievalScore.Of("text to image", Ranks.TextToImage);

    /// <summary>Both directions.</summary>
    public IReadOnlyList<RetrievalScore> Scores => [ImageToText, TextToImage];

    /// <summary>The measures under the names of FLAIR and memory-augmented CLIP: <c>retrieval_coco_text_to_image_R@1</c>; recalls from 0 to 1.</summary>
    /// <param name="set">The set's name in them.</param>
    public IReadOnlyDictionary<string, double> Fields(string set)
    {
        var fields = new OrderedDictionary<string, double>();
        foreach (var (direction, ranks) in new[] { ("text_to_image", Ranks.TextToImage), ("image_to_text", Ranks.ImageToText) })
        {
            var name = $"retrieval_{set}_{direction}";
            foreach (var depth in _depths)
            {
                fields[$"{name}_R@{depth}"] = ranks.RecallAt(depth);
            }

            fields[$"{name}_mean_rank"] = ranks.Mean;
            fields[$"{name}_median_rank"] = ranks.Median;
        }

        fields[$"retrieval_{set}_num_text_samples"] = TextToImage.Queries;
        fields[$"retrieval_{set}_num_image_samples"] = ImageToText.Queries;
        fields["epoch"] = 0;
        return fields;
    }

    /// <summary>The recalls under the names of CLIP_benchmark, from 0 to 1; "image retrieval" is text to image.</summary>
    public IReadOnlyDictionary<string, double?> BenchmarkFields()
    {
        var fields = new OrderedDictionary<string, double?>();
        foreach (var depth in _depths)
        {
            fields[$"image_retrieval_recall@{depth}"] = Ranks.TextToImage.RecallAt(depth);
            fields[$"text_retrieval_recall@{depth}"] = Ranks.ImageToText.RecallAt(depth);
        }

        return fields;
    }
}
