namespace RegCache.Lab.Tests;

/// <summary>Tests of what the whole process shares (counters, the default generator, threads) run alone.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class ProcessWide
{
    internal const string Name = "Process-wide state of the tensor library";

    /// <summary>The number of live tensors, after those that earlier tests left to the garbage collector are gone.</summary>
    internal static long LiveTensors()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return Tensor.TotalCount;
    }
}
