using System.Globalization;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>
/// How many tokens every block merges, as ToMe's code takes them: r in every block, r with an inflection over the blocks, or
/// one number a block (docs/methods/token-merging.md). Compares by value.
/// </summary>
public sealed record MergeSchedule
{
    private MergeSchedule()
    {
    }

    /// <summary>Tokens a block on average, r; zero for a list.</summary>
    public int Count { get; private init; }

    /// <summary>How the counts change over the blocks: -1 falls from 2r to 0, 0 is constant, 1 rises from 0 to 2r.</summary>
    public double Inflection { get; private init; }

    /// <summary>One count a block, the rest merge nothing; null when <see cref="Count"/> says it.</summary>
    public ValueList<int>? List { get; private init; }

    /// <summary>r tokens in every block.</summary>
    /// <exception cref="UserException">r is negative.</exception>
    public static MergeSchedule Constant(int count) => Inflected(count, 0);

    /// <summary>r tokens a block on average, falling or rising over the blocks.</summary>
    /// <param name="count">r.</param>
    /// <param name="inflection">From -1, falling, to 1, rising.</param>
    /// <exception cref="UserException">r is negative, or the inflection is outside -1..1.</exception>
    public static MergeSchedule Inflected(int count, double inflection) => inflection is >= -1 and <= 1
        ? new() { Count = Checked(count), Inflection = inflection }
        : throw new UserException($"The inflection of a merge schedule is {inflection}; it must be from -1 (falling) to 1 (rising).");

    /// <summary>One count a block; blocks beyond the list merge nothing.</summary>
    /// <exception cref="UserException">A count is negative.</exception>
    public static MergeSchedule PerBlock(IEnumerable<int> counts) => new() { List = [.. counts.Select(Checked)] };

    /// <summary>Reads <c>8</c>, <c>8:-1</c> (r and inflection) or <c>0/3/0/6</c> (one number a block).</summary>
    /// <exception cref="UserException">The text is none of these.</exception>
    public static MergeSchedule Parse(string text)
    {
        UserException Unreadable() => new(
            $"'{text}' is no merge schedule r: write a number (8), a number and an inflection (8:-1) or one number a block (0/3/0/6).");
        int Whole(string part) => int.TryParse(part.Trim(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var count)
            ? count
            : throw Unreadable();
        double Real(string part) => double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : throw Unreadable();

        return (text.Split('/'), text.Split(':')) switch
        {
            ({ Length: > 1 } counts, _) => PerBlock(counts.Select(Whole)),
            (_, [var count]) => Constant(Whole(count)),
            (_, [var count, var inflection]) => Inflected(Whole(count), Real(inflection)),
            _ => throw Unreadable(),
        };
    }

    /// <summary>The tokens to merge in every block, before the caps that a block's tokens set.</summary>
    /// <param name="blocks">Blocks of the encoder.</param>
    /// <exception cref="UserException">The list has more entries than the encoder has blocks.</exception>
    public ValueList<int> Counts(int blocks)
    {
        if (List is { } list)
        {
            return list.Count <= blocks
                ? [.. list, .. Enumerable.Repeat(0, blocks - list.Count)]
                : throw new UserException($"The merge schedule lists {list.Count} blocks, but the model has {blocks}; shorten the list.");
        }

        // The published schedule rounds in this order of operations; another one differs by one token here and there.
        var low = (int)(Count * (1.0 - Inflection));
        var step = blocks == 1 ? 0 : (double)((2 * Count) - low - low) / (blocks - 1);
        return [.. Enumerable.Range(0, blocks).Select(block => (int)(low + (step * block)))];
    }

    /// <summary>The tokens to merge in all blocks together, before the caps.</summary>
    /// <param name="blocks">Blocks of the encoder.</param>
    /// <exception cref="UserException">The list has more entries than the encoder has blocks.</exception>
    public int Total(int blocks) => Counts(blocks).Sum();

    /// <summary>The schedule as <see cref="Parse"/> reads it.</summary>
    public override string ToString() => (List, Inflection) switch
    {
        ({ } list, _) => string.Join('/', list.Count > 1 ? list : [.. list, 0]),
        (_, 0) => $"{Count}",
        _ => string.Create(CultureInfo.InvariantCulture, $"{Count}:{Inflection}"),
    };

    private static int Checked(int count) =>
        count >= 0 ? count : throw new UserException($"A merge schedule cannot hold the negative number {count}.");
}
