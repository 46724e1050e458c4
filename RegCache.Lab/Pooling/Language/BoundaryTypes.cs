namespace RegCache.Lab.Pooling.Language;

/// <summary>What a learned boundary is taught with: everything on the scored positions only.</summary>
/// <param name="Config">The model.</param>
/// <param name="Scores">The predictor's scores [B,T].</param>
/// <param name="Values">Straight-through boundaries [B,T].</param>
/// <param name="Logits">The model's own predictions [T,B,V].</param>
/// <param name="Data">The characters that were read [T,B].</param>
/// <param name="Given">Boundaries that the text says [B,T], bool; null where it says none.</param>
public sealed record BoundaryLesson(
    DynamicPoolingConfig Config, BoundaryScores Scores, Tensor Values, Tensor Logits, Tensor Data, Tensor? Given);

/// <summary>A way to find the boundaries of the language model.</summary>
/// <param name="Name">The name, as upstream's configuration files spell it.</param>
/// <param name="Help">What it is, in one line.</param>
public sealed record BoundaryType(string Name, string Help) : IListed
{
    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];

    /// <summary>Whether anything is pooled.</summary>
    public bool Pools { get; init; } = true;

    /// <summary>Makes the boundaries that a text says by itself; null where the text says none.</summary>
    public Func<TextBoundarySource, TextBoundaries>? OfText { get; init; }

    /// <summary>The loss that teaches a predictor, [], and what it is compared with [B,T], bool; null where there is no predictor.</summary>
    public Func<BoundaryLesson, (Tensor Loss, Tensor Reference)>? Learn { get; init; }

    /// <summary>Whether boundaries are drawn in training, and get a gradient through pooling; otherwise the lesson's alone.</summary>
    public bool IsDrawn { get; init; }
}

/// <summary>The boundary types (Nawrot et al. 2023, arXiv:2211.09761; docs/methods/dynamic-pooling.md, "The language model").</summary>
public static class BoundaryTypes
{
    /// <summary>All of them. A type more is an entry more.</summary>
    public static OpenList<BoundaryType> All { get; } = new(
        "boundary type",
        new("none", "Nothing is pooled: a plain Transformer with relative attention.") { Pools = false },
        new("fixed", "A boundary every few characters.") { OfText = source => TextBoundaries.Fixed(source.FixedFactor) },
        new("whitespaces", "A boundary at every space.") { OfText = source => TextBoundaries.Whitespaces(source.Vocabulary) },
        new("unigram", "Predicted, taught by the pieces of a Unigram tokenizer.")
        {
            OfText = source => TextBoundaries.Unigram(source.Vocabulary, source.Unigram
                ?? throw new UserException("Boundaries of type unigram need a Unigram vocabulary: give tokenizer_path, or let training make one.")),
            Learn = lesson => Supervised(lesson, lesson.Given
                ?? throw new UserException("Boundaries of type unigram are taught by those of the text, and there are none.")),
        },
        new("entropy", "Predicted, taught by the positions at which the model's own uncertainty rises.")
        {
            Learn = lesson => Supervised(lesson, EntropySpikes.Find(EntropySpikes.Entropy(lesson.Logits), lesson.Config.SpikeWindow).transpose(0, 1).contiguous()),
        },
        new("gumbel", "Drawn by a predictor and learned end to end, at a rate that a prior holds.")
        {
            // What they are compared with are spaces, the most frequent symbol.
            Learn = lesson => (BoundaryLosses.Binomial(lesson.Values, lesson.Config.Prior), lesson.Data.eq(0).transpose(0, 1).contiguous()),
            IsDrawn = true,
        });

    private static (Tensor Loss, Tensor Reference) Supervised(BoundaryLesson lesson, Tensor target) =>
        (BoundaryLosses.Supervised(lesson.Scores, target, lesson.Config.LegacyBoundaryLoss), target);
}

/// <summary>Positions at which the next character is harder to guess than at those before (Nawrot et al. 2023, arXiv:2211.09761).</summary>
public static class EntropySpikes
{
    /// <summary>The entropy of every prediction in nats, [T,B,V] to [T,B], without gradient.</summary>
    public static Tensor Entropy(Tensor logits) => TensorScope.Run(() =>
    {
        var logs = logits.detach().log_softmax(-1);
        return -(logs.exp() * logs).sum(-1);
    });

    /// <summary>Where the entropy is above that of each of the <paramref name="window"/> positions before; the first position always.</summary>
    /// <param name="entropy">Entropies [T,B].</param>
    /// <param name="window">How many positions before count.</param>
    /// <returns>The spikes [T,B], bool.</returns>
    public static Tensor Find(Tensor entropy, int window) => TensorScope.Run(() =>
    {
        var length = entropy.shape[0];
        var spikes = torch.ones(entropy.shape, torch.ScalarType.Bool, entropy.device);
        for (var back = 1L; back <= Math.Min(window, length - 1); back++)
        {
            spikes.narrow(0, back, length - back).logical_and_(entropy.narrow(0, back, length - back).greater(entropy.narrow(0, 0, length - back)));
        }

        return spikes;
    });
}
