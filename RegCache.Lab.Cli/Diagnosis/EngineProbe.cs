using RegCache.Lab.Quantization.Integer;
using TorchSharp;

namespace RegCache.Lab.Cli.Diagnosis;

/// <summary>The tensor engine: libtorch, its devices and threads, by using it.</summary>
internal static class EngineProbe
{
    private const string DriverFolder = "/proc/driver/nvidia/gpus";

    /// <summary>Loads libtorch and asks it.</summary>
    public static IReadOnlyList<DiagnosisLine> Find()
    {
        if (TensorLibrary.Problem() is { } problem)
        {
            return [new("libtorch", problem, Problem: true)];
        }

        try
        {
            using var two = torch.ones(1) + torch.ones(1);
            return
            [
                two.item<float>() == 2 ? new("libtorch", TensorLibrary.ExpectedVersion) : new("libtorch", $"1 + 1 is {two.item<float>()}", Problem: true),
                new("loaded from", LoadedLibraries.PathOf("libtorch_cpu.so") ?? "unknown"),
                .. Named(),
                new("products", TensorLibrary.IsMklFreed ? "by MKL, chosen by the instruction set (REGCACHE_MKL=untouched: by the processor's maker)" : "by MKL"),
                new("threads", Invariant($"{torch.get_num_threads()} in an operator")),
                new("CUDA", CudaDevices()),
                new("integers", Integers()),
            ];
        }
        catch (Exception error)
        {
            // Whatever it is, the user asked what is wrong.
            return [new("libtorch", ErrorReport.Sentence(error), Problem: true)];
        }
    }

    private static IEnumerable<DiagnosisLine> Named() => TensorLibrary.Named is not { } folder ? []
        : TensorLibrary.IsSelfContained ? [new("LIBTORCH", $"{folder} has no effect: this build carries its own libtorch, a bundle (./lab bundle) takes another")]
        : [new("LIBTORCH", $"{folder}, {TensorLibrary.VersionOf(folder)}; TorchSharp is built for libtorch {TensorLibrary.ExpectedVersion}")];

    private static string Integers() => OneDnn.Support is { IntegerProblem: { } problem }
        ? $"simulated in float: {problem}"
        : $"8-bit products by {OneDnn.Support.Description}";

    private static string CudaDevices()
    {
        var cards = Cards();
        return torch.cuda.is_available() ? Invariant($"{torch.cuda.device_count()} device(s): {string.Join(", ", cards)}")
            : cards.Count > 0 ? $"not usable by this libtorch, though there is {string.Join(", ", cards)}: see README.md, \"GPU\""
            : "no device";
    }

    private static List<string> Cards() => !Directory.Exists(DriverFolder)
        ? []
        : [.. Directory.EnumerateDirectories(DriverFolder)
            .SelectMany(card => File.ReadLines(Path.Combine(card, "information")))
            .Where(line => line.StartsWith("Model:", StringComparison.Ordinal))
            .Select(line => line["Model:".Length..].Trim())];

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
