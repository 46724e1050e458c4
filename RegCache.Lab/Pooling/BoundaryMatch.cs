namespace RegCache.Lab.Pooling;

/// <summary>How well boundaries agree with a reference, in counts of positions. Counts add up over batches.</summary>
/// <param name="Positions">Positions compared.</param>
/// <param name="Found">Boundaries.</param>
/// <param name="Wanted">Boundaries of the reference.</param>
/// <param name="Common">Positions that are boundaries of both.</param>
public sealed record BoundaryMatch(long Positions, long Found, long Wanted, long Common)
{
    /// <summary>Nothing compared yet.</summary>
    public static BoundaryMatch Empty { get; } = new(0, 0, 0, 0);

    /// <summary>Share of the positions on which both agree; 0 without positions.</summary>
    public double Accuracy => Share(Positions - Found - Wanted + (2 * Common), Positions);

    /// <summary>Share of the boundaries that the reference has; 0 without any.</summary>
    public double Precision => Share(Common, Found);

    /// <summary>Share of the reference's boundaries that were found; 0 without any.</summary>
    public double Recall => Share(Common, Wanted);

    /// <summary>Compares two sets of boundaries, bool, of one shape.</summary>
    public static BoundaryMatch Of(Tensor boundaries, Tensor reference)
    {
        using var scope = torch.NewDisposeScope();
        static long Count(Tensor marks) => marks.sum().item<long>();
        return new(boundaries.NumberOfElements, Count(boundaries), Count(reference), Count(boundaries.logical_and(reference)));
    }

    /// <summary>Both together.</summary>
    public BoundaryMatch Plus(BoundaryMatch other) =>
        new(Positions + other.Positions, Found + other.Found, Wanted + other.Wanted, Common + other.Common);

    private static double Share(long part, long whole) => whole == 0 ? 0 : (double)part / whole;
}
