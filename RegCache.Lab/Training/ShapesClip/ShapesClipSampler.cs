using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Training.ShapesClip;

/// <summary>
/// Makes the batches of the demo model's training. A batch is a function of the seed, the phase and the step, so a
/// resumed training sees the batches that it would have seen.
/// </summary>
internal sealed class ShapesClipSampler
{
    private const int InformativePatches = 20;
    private const double ShortCaptionProbability = 0.5;
    private const double PhotoProbability = 0.1;
    private const double UnknownWordProbability = 0.1;

    private readonly ShapesSet _set;
    private readonly ShapesImageSource _images;
    private readonly WordTokenizer _tokenizer;
    private readonly int[] _everything;
    private readonly int[] _singles;
    private readonly int _patchSize;
    private readonly int _patches;
    private readonly long _seed;

    public ShapesClipSampler(ShapesSet set, int patchSize, WordTokenizer tokenizer, long seed)
    {
        (_set, _tokenizer, _seed, _patchSize) = (set, tokenizer, seed, patchSize);
        _images = new(set);
        _patches = ShapesScene.Side / patchSize * (ShapesScene.Side / patchSize);
        _everything = [.. Enumerable.Range(0, set.Count)];
        _singles = [.. _everything.Where(index => set.Samples[index].Label >= 0)];
    }

    /// <summary>Makes the batch of a step, or the part of it that one of several processes has.</summary>
    /// <param name="phase">The phase.</param>
    /// <param name="phaseIndex">Its number.</param>
    /// <param name="step">The step within the phase.</param>
    /// <param name="rank">The process.</param>
    /// <param name="processes">How many processes share the batch evenly.</param>
    public ShapesClipBatch Make(ShapesClipPhase phase, int phaseIndex, long step, int rank = 0, int processes = 1)
    {
        var random = CounterRandom.Of(_seed, 200 + phaseIndex, step);
        var from = step < phase.SingleObjectSteps ? _singles : _everything;
        var indices = Draw(from, phase.BatchSize, phaseIndex, step);
        var tokens = step < phase.Steps - phase.FullTokenSteps
            ? phase.MinTokens + random.NextIndex(phase.MaxTokens - phase.MinTokens + 1)
            : _patches;
        var (ids, captionOf) = Captions(indices, ref random);
        var (share, first) = (indices.Length / processes, indices.Length / processes * rank);
        var own = indices[first..(first + share)];
        var (kept, isLow) = ChoosePatches(own, tokens, random.Fork(1), first);
        return new(_images.Read(own), ids, captionOf, first, tokens < _patches ? kept : null, isLow);
    }

    // Epochs are random orders of the images; a batch may reach from one epoch into the next.
    private int[] Draw(int[] from, int count, int phaseIndex, long step)
    {
        var indices = new int[count];
        long epoch = -1;
        int[] order = [];
        for (var position = 0; position < count; position++)
        {
            var (wanted, place) = Math.DivRem((step * count) + position, from.Length);
            if (wanted != epoch)
            {
                epoch = wanted;
                order = CounterRandom.Of(_seed, 300 + phaseIndex, (from.Length * 1_000_003L) + epoch).NextPermutation(from.Length);
            }

            indices[position] = from[order[place]];
        }

        return indices;
    }

    private (Tensor Ids, Tensor CaptionOf) Captions(int[] indices, ref CounterRandom random)
    {
        var distinct = new OrderedDictionary<string, int>(StringComparer.Ordinal);
        var captionOf = new long[indices.Length];
        for (var position = 0; position < indices.Length; position++)
        {
            var caption = Vary(_set.Samples[indices[position]], ref random);
            distinct.TryAdd(caption, distinct.Count);
            captionOf[position] = distinct[caption];
        }

        var ids = torch.tensor(_tokenizer.EncodeBatch([.. distinct.Keys]), [distinct.Count, _tokenizer.ContextLength]);
        return (ids, torch.tensor(captionOf));
    }

    private static string Vary(ShapesSample sample, ref CounterRandom random)
    {
        var caption = sample.Label >= 0 && random.NextBool(ShortCaptionProbability)
            ? ShapesCaption.Short(sample.Scene.First)
            : sample.Caption;
        if (random.NextBool(PhotoProbability))
        {
            caption = (random.NextBool(0.5) ? "a photo of " : "a picture of ") + caption;
        }

        // Words that tell no class are sometimes made unknown, so that unknown words mean nothing rather than noise.
        if (random.NextBool(UnknownWordProbability))
        {
            var words = caption.Split(' ');
            var place = random.NextIndex(words.Length);
            if (!ShapesVocabulary.Shapes.Contains(words[place]) && ShapesVocabulary.Colors.All(color => color.Name != words[place]))
            {
                words[place] = "something";
                caption = string.Join(' ', words);
            }
        }

        return caption;
    }

    // The most telling patches stay, and random others up to the wanted number.
    private (Tensor Kept, Tensor IsLow) ChoosePatches(int[] indices, int tokens, CounterRandom stream, int first)
    {
        var kept = new long[indices.Length * (1 + tokens)];
        var isLow = new float[indices.Length * tokens];
        Parallel.For(0, indices.Length, TensorLibrary.OwnThreads, (int row) =>
        {
            var random = stream.Fork(first + row);
            var scores = new float[_patches];
            PatchInformation.Score(_set.Image(indices[row]), _patchSize, scores);
            int[] order = [.. Enumerable.Range(0, _patches)];
            if (tokens < _patches)
            {
                Array.Sort([.. scores.Select(score => -score)], order);
                var others = random.NextPermutation(_patches - InformativePatches);
                order =
                [
                    .. order[..InformativePatches]
                        .Concat(others.Take(tokens - InformativePatches).Select(other => order[InformativePatches + other]))
                        .Order(),
                ];
            }

            float[] sorted = [.. order.Select(patch => scores[patch]).Order()];
            var median = sorted[(tokens - 1) / 2];
            for (var position = 0; position < tokens; position++)
            {
                kept[(row * (1 + tokens)) + 1 + position] = 1 + order[position];
                isLow[(row * tokens) + position] = scores[order[position]] <= median ? 1 : 0;
            }
        });
        return (torch.tensor(kept, [indices.Length, 1 + tokens]), torch.tensor(isLow, [indices.Length, tokens]));
    }
}

/// <summary>What one process sees in one training step of the demo model.</summary>
/// <param name="Images">Normalised images [B,3,H,W].</param>
/// <param name="TextIds">The distinct captions of the batch of all processes [C,context], int64.</param>
/// <param name="CaptionOf">Which of them belongs to each image of that batch [KB], int64.</param>
/// <param name="First">Where in that batch the images begin.</param>
/// <param name="Kept">The patches that stay, as token indices with the class token 0 in front [B,1+T], int64; null keeps all.</param>
/// <param name="IsLowInformation">1 where a kept patch scores no higher than the median kept patch of its image [B,T].</param>
internal sealed record ShapesClipBatch(Tensor Images, Tensor TextIds, Tensor CaptionOf, int First, Tensor? Kept, Tensor IsLowInformation);

/// <summary>
/// How much a patch tells: the mean absolute difference between its pixels and the image's median colour. Objects score
/// high, plain background scores low.
/// </summary>
internal static class PatchInformation
{
    private const int Side = ShapesScene.Side;

    /// <summary>Scores the patches of an image, row by row.</summary>
    /// <param name="pixels">The image, rows of pixels of red, green and blue.</param>
    /// <param name="patchSize">Side of a patch in pixels.</param>
    /// <param name="scores">One score a patch, 0 to 255.</param>
    public static void Score(ReadOnlySpan<byte> pixels, int patchSize, Span<float> scores)
    {
        Span<int> median = [Median(pixels, 0), Median(pixels, 1), Median(pixels, 2)];
        var grid = Side / patchSize;
        Span<int> sums = stackalloc int[scores.Length];
        sums.Clear();
        for (var y = 0; y < Side; y++)
        {
            var row = pixels.Slice(y * Side * 3, Side * 3);
            for (var patch = 0; patch < grid; patch++)
            {
                var sum = 0;
                var part = row.Slice(patch * patchSize * 3, patchSize * 3);
                for (var index = 0; index < part.Length; index += 3)
                {
                    sum += Math.Abs(part[index] - median[0]) + Math.Abs(part[index + 1] - median[1]) + Math.Abs(part[index + 2] - median[2]);
                }

                sums[(y / patchSize * grid) + patch] += sum;
            }
        }

        for (var patch = 0; patch < scores.Length; patch++)
        {
            scores[patch] = sums[patch] / (3f * patchSize * patchSize);
        }
    }

    private static int Median(ReadOnlySpan<byte> pixels, int channel)
    {
        Span<int> histogram = stackalloc int[256];
        histogram.Clear();
        for (var index = channel; index < pixels.Length; index += 3)
        {
            histogram[pixels[index]]++;
        }

        var (level, below) = (0, histogram[0]);
        while (below <= Side * Side / 2)
        {
            below += histogram[++level];
        }

        return level;
    }
}
