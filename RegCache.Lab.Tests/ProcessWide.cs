namespace RegCache.Lab.Tests;

/// <summary>Tests of what the whole process shares (counters, the default generator, threads) run alone.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class ProcessWide
{
    internal const string Name = "Process-wide state of the tensor library";
}
