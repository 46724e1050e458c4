namespace RegCache.Lab.Benchmarks;

/// <summary>What one kind of layer costs a calibration.</summary>
/// <param name="Layer">The layer or operand.</param>
/// <param name="Times">How often it occurs in the encoder.</param>
/// <param name="Ours">Seconds of one by this kit.</param>
/// <param name="Plain">Seconds of one by plain operators.</param>
/// <param name="IsSame">Whether both chose the same.</param>
internal sealed record CalibrationCost(string Layer, int Times, double Ours, double Plain, bool IsSame)
{
    private const double Tolerance = 1e-4;

    /// <summary>Times a search of candidates.</summary>
    public static CalibrationCost Measure(string layer, int times, Func<int[]> ours, Func<int[]> plain) =>
        Measure(layer, times, ours, plain, (left, right) => left.AsSpan().SequenceEqual(right));

    /// <summary>Times a search of scales, which may differ in rounding.</summary>
    public static CalibrationCost Measure(string layer, int times, Func<float[]> ours, Func<float[]> plain) => Measure(
        layer, times, ours, plain, (left, right) => left.Zip(right).All(pair => Math.Abs(pair.First - pair.Second) <= Tolerance * Math.Abs(pair.Second)));

    /// <summary>Prints the table, with minutes for the whole encoder.</summary>
    public static void Print(string method, IReadOnlyList<CalibrationCost> costs, int blocks)
    {
        Console.WriteLine($"{method}, seconds              this kit     plain    ratio    times   same choice");
        foreach (var cost in costs)
        {
            Console.WriteLine($"  {cost.Layer,-26}{cost.Ours,8:0.00}{cost.Plain,10:0.00}{cost.Plain / cost.Ours,9:0.0}{cost.Times,9}   {(cost.IsSame ? "yes" : "no")}");
        }

        var (ours, plain) = (costs.Sum(cost => cost.Times * cost.Ours), costs.Sum(cost => cost.Times * cost.Plain));
        Console.WriteLine($"  minutes for {blocks} blocks: {ours / 60:0.0} by this kit, {plain / 60:0.0} by plain operators, ratio {plain / ours:0.0}");
    }

    private static CalibrationCost Measure<T>(string layer, int times, Func<T[]> ours, Func<T[]> plain, Func<T[], T[], bool> same)
    {
        T[] own = [], other = [];
        var ownSeconds = PairedTiming.Seconds(() => own = ours());
        var otherSeconds = PairedTiming.Seconds(() => other = plain());
        return new(layer, times, ownSeconds, otherSeconds, same(own, other));
    }
}
