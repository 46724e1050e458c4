using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>What a call through the tensor library costs when the tensors are so small that nothing else matters.</summary>
internal static class OperatorBenchmark
{
    private const int Calls = 200_000;

    public static void Run()
    {
        using var a = torch.ones(2, 2);
        using var b = torch.ones(2, 2);
        var rounds = Enumerable.Range(0, 9).Select(_ => PairedTiming.Seconds(() =>
        {
            for (var call = 0; call < Calls; call++)
            {
                (a + b).Dispose();
            }
        })).Order().ToArray();
        Console.WriteLine(
            $"add of two 2x2 tensors, result disposed: median {rounds[4] / Calls * 1e6:0.00} us, best {rounds[0] / Calls * 1e6:0.00} us");
    }
}
