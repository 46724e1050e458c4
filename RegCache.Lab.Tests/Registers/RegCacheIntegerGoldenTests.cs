using RegCache.Lab.Quantization.Integer;

namespace RegCache.Lab.Tests.Registers;

/// <summary>
/// The same golden, every stage of it, with products in 8-bit integers: the same decisions, the same accuracies within the
/// same tolerances. Where the kernels are missing these tests repeat the simulated ones.
/// </summary>
[Trait("Category", "Golden")]
public sealed class RegCacheIntegerGoldenTests(RegCacheIntegerGoldenTests.IntegerGolden golden)
    : RegCacheGoldenTests(golden), IClassFixture<RegCacheIntegerGoldenTests.IntegerGolden>
{
    public sealed class IntegerGolden() : RegCacheGolden(
        OneDnn.Support.IntegerProblem is null ? new OneDnnBackend(ExecutionMode.Integer) : null);
}
