using System.Runtime.InteropServices;

namespace RegCache.Lab.Benchmarks;

/// <summary>What one kind of layer costs a calibration.</summary>
/// <param name="Layer">The layer or operand.</param>
/// <param name="Times">How often it occurs in the encoder.</param>
/// <param name="Ours">Seconds of one by this kit.</param>
/// <param name="Plain">Seconds of one by plain operators.</param>
/// <param name="IsSame">Whether both chose the same.</param>
internal sealed partial record CalibrationCost(string Layer, int Times, double Ours, double Plain, bool IsSame)
{
    private const double Tolerance = 1e-4;

    /// <summary>Times a search of candidates.</summary>
    public static CalibrationCost Measure(string layer, int times, Func<int[]> ours, Func<int[]> plain) =>
        Measure(layer, times, ours, plain, (left, right) => left.AsSpan().SequenceEqual(right));

    /// <summary>Times a search of scales, which may differ in rounding.</summary>
    public static CalibrationCost Measure(string layer, int times, Func<float[]> ours, Func<float[]> plain) => Measure(
        layer, times, ours, plain, (left, right) => left.Zip(right).All(pair => Math.Abs(pair.First - pair.Second) <= Tolerance * Math.Abs(pair.Second)));

    /// <summary>Prints the head of the table whose rows come as they are measured.</summary>
    public static void PrintHead() =>
        Console.WriteLine($"{"seconds",-28}{"this kit",10}{"plain",10}{"ratio",9}{"times",9}   same choice");

    /// <summary>Prints the minutes for the whole encoder.</summary>
    public static void PrintSum(string method, IReadOnlyList<CalibrationCost> costs, int blocks)
    {
        var (ours, plain) = (costs.Sum(cost => cost.Times * cost.Ours), costs.Sum(cost => cost.Times * cost.Plain));
        Console.WriteLine($"{method}, minutes for {blocks} blocks: {ours / 60:0.0} by this kit, {plain / 60:0.0} by plain operators, ratio {plain / ours:0.0}");
    }

    /// <summary>Prints the row, and gives it back.</summary>
    public CalibrationCost Printed()
    {
        Console.WriteLine($"  {Layer,-26}{Ours,10:0.00}{Plain,10:0.00}{Plain / Ours,9:0.0}{Times,9}   {(IsSame ? "yes" : "no")}");
        return this;
    }

    private static CalibrationCost Measure<T>(string layer, int times, Func<T[]> ours, Func<T[]> plain, Func<T[], T[], bool> same)
    {
        T[] own = [], other = [];
        var ownSeconds = PairedTiming.Seconds(() => own = ours());
        GiveBackMemory();
        var otherSeconds = PairedTiming.Seconds(() => other = plain());
        GiveBackMemory();
        return new CalibrationCost(layer, times, ownSeconds, otherSeconds, same(own, other)).Printed();
    }

    // glibc keeps what was freed between living blocks of its heap; the many tensors of the plain searches leave gigabytes of that.
    private static void GiveBackMemory()
    {
        if (OperatingSystem.IsLinux())
        {
            _ = MallocTrim(0);
        }
    }

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int MallocTrim(nuint padding);
}
