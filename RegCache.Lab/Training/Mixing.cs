using System.Diagnostics;
using RegCache.Lab.Training.Augmentation;

namespace RegCache.Lab.Training;

/// <summary>
/// Mixes every image of a batch with another one, and its target with the other's: Mixup (Zhang et al. 2018) blends them, CutMix (Yun et
/// al. 2019) pastes a box. The partner of image i of B is image B-1-i, so that the batch's size must be even.
/// </summary>
/// <param name="MixupAlpha">Parameter of the Beta distribution of Mixup's share; 0 never blends.</param>
/// <param name="CutmixAlpha">The same of CutMix; 0 never pastes.</param>
/// <param name="Probability">Probability with which anything is mixed.</param>
/// <param name="SwitchProbability">Probability of CutMix where both are on.</param>
/// <param name="Mode">For what shares are drawn.</param>
public sealed record Mixing(
    double MixupAlpha = 0.8, double CutmixAlpha = 1, double Probability = 1, double SwitchProbability = 0.5, MixingMode Mode = MixingMode.Batch)
{
    /// <summary>Whether anything is ever mixed.</summary>
    public bool IsOn => (MixupAlpha > 0 || CutmixAlpha > 0) && Probability > 0;

    /// <summary>Draws what happens to every image of a batch.</summary>
    /// <param name="random">Where the draws come from.</param>
    /// <param name="count">Images, an even number.</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns.</param>
    /// <returns>One mix an image.</returns>
    public Mix[] Draw(ref CounterRandom random, int count, int height, int width)
    {
        RequireEven(count);
        var mixes = new Mix[count];
        var draws = Mode switch { MixingMode.Batch => 1, MixingMode.Pair => count / 2, MixingMode.Elem => count, _ => throw new UnreachableException() };
        for (var draw = 0; draw < draws; draw++)
        {
            mixes[draw] = DrawOne(ref random, height, width);
        }

        for (var index = draws; index < count; index++)
        {
            mixes[index] = Mode == MixingMode.Batch ? mixes[0] : mixes[count - 1 - index];
        }

        return mixes;
    }

    /// <summary>Mixes a batch.</summary>
    /// <param name="images">Images [B,3,H,W].</param>
    /// <param name="mixes">One mix an image, or one for all.</param>
    /// <returns>The mixed images; the given ones stay as they are.</returns>
    public static Tensor Apply(Tensor images, IReadOnlyList<Mix> mixes) => TensorScope.Run(() =>
    {
        var (count, partners) = (images.shape[0], images.flip(0));
        RequireEven((int)count);
        if (mixes.Distinct().Count() == 1)
        {
            return Mixed(images, partners, mixes[0]);
        }

        return torch.cat([.. mixes.Select((mix, index) => Mixed(images.narrow(0, index, 1), partners.narrow(0, index, 1), mix))], 0);
    });

    /// <summary>The target probabilities of mixed images.</summary>
    /// <param name="labels">Classes [B], int64.</param>
    /// <param name="classes">Number of classes K.</param>
    /// <param name="mixes">One mix an image, or one for all.</param>
    /// <param name="smoothing">The share that is spread over all classes.</param>
    /// <returns>Probabilities [B,K].</returns>
    public static Tensor Targets(Tensor labels, int classes, IReadOnlyList<Mix> mixes, double smoothing = 0) => TensorScope.Run(() =>
    {
        var smooth = (torch.nn.functional.one_hot(labels, classes).to(torch.ScalarType.Float32) * (1 - smoothing)) + (smoothing / classes);
        var shares = torch.tensor(mixes.Select(mix => (float)mix.Share).ToArray(), device: labels.device).unsqueeze(1);
        return (smooth * shares) + (smooth.flip(0) * (1 - shares));
    });

    private static void RequireEven(int count)
    {
        if (count % 2 != 0)
        {
            throw new UserException($"Mixing needs batches of an even number of images, not {count}; change `batch_size`, or turn `mixup` and `cutmix` off (0).");
        }
    }

    private static Tensor Mixed(Tensor images, Tensor partners, Mix mix)
    {
        if (mix.Box is not { } box)
        {
            return mix.Share == 1 ? images.clone() : (images * mix.Share) + (partners * (1 - mix.Share));
        }

        var mixed = images.clone();
        if (box.Width > 0 && box.Height > 0)
        {
            Tensor Box(Tensor all) => all.narrow(2, box.Top, box.Height).narrow(3, box.Left, box.Width);
            Box(mixed).copy_(Box(partners));
        }

        return mixed;
    }

    private Mix DrawOne(ref CounterRandom random, int height, int width)
    {
        if (!random.NextBool(Probability))
        {
            return Mix.Nothing;
        }

        var isCutmix = CutmixAlpha > 0 && (MixupAlpha <= 0 || random.NextBool(SwitchProbability));
        var alpha = isCutmix ? CutmixAlpha : MixupAlpha;
        var share = random.NextBeta(alpha, alpha);
        return isCutmix ? Mix.Pasted(share, random.NextIndex(height), random.NextIndex(width), height, width) : new(share, null);
    }
}

/// <summary>For what the shares of mixing are drawn.</summary>
public enum MixingMode
{
    /// <summary>Once for a batch.</summary>
    Batch,

    /// <summary>For every two images that are mixed with each other.</summary>
    Pair,

    /// <summary>For every image.</summary>
    Elem,
}

/// <summary>What happens to one image: a blend, or a box of its partner.</summary>
/// <param name="Share">The image's own share lambda; the partner has the rest.</param>
/// <param name="Box">The box of the partner; null blends.</param>
public sealed record Mix(double Share, MixBox? Box)
{
    /// <summary>The image as it is.</summary>
    public static Mix Nothing { get; } = new(1, null);

    /// <summary>
    /// A box of <c>int(H sqrt(1 - share)) x int(W sqrt(1 - share))</c> pixels about a centre, clipped to the image; the share becomes what
    /// the box leaves.
    /// </summary>
    public static Mix Pasted(double share, int centreRow, int centreColumn, int height, int width)
    {
        var ratio = Math.Sqrt(1 - share);
        var (rows, columns) = ((int)(height * ratio), (int)(width * ratio));
        var (top, bottom) = (Math.Clamp(centreRow - (rows / 2), 0, height), Math.Clamp(centreRow + (rows / 2), 0, height));
        var (left, right) = (Math.Clamp(centreColumn - (columns / 2), 0, width), Math.Clamp(centreColumn + (columns / 2), 0, width));
        return Pasted(new(top, left, bottom - top, right - left), height, width);
    }

    /// <summary>A given box; the share is what it leaves.</summary>
    public static Mix Pasted(MixBox box, int height, int width) => new(1 - ((double)box.Height * box.Width / ((double)height * width)), box);
}

/// <summary>A box of pixels.</summary>
/// <param name="Top">First row.</param>
/// <param name="Left">First column.</param>
/// <param name="Height">Rows.</param>
/// <param name="Width">Columns.</param>
public readonly record struct MixBox(int Top, int Left, int Height, int Width);
