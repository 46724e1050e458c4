using System.Runtime.InteropServices;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Diagnosis;

/// <summary>The kit, the runtime and the machine.</summary>
internal static class SystemProbe
{
    private const string ProcessorFile = "/proc/cpuinfo";

    /// <summary>Processor features that libtorch, oneDNN or the kit's own kernels choose their code by.</summary>
    private static readonly string[] FeaturesThatMatter =
    [
        "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16",
        "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "bf16", "i8mm", "sve",
    ];

    /// <summary>The kit and what it was built with.</summary>
    public static IReadOnlyList<DiagnosisLine> Kit() =>
    [
        new("regcache", KitVersions.Current["regcache"]),
        new("TorchSharp", KitVersions.Current["TorchSharp"]),
        new("installed in", AppContext.BaseDirectory),
    ];

    /// <summary>Runtime, operating system, processor and memory.</summary>
    public static IReadOnlyList<DiagnosisLine> Machine() =>
    [
        new("runtime", $"{RuntimeInformation.FrameworkDescription} ({RuntimeInformation.RuntimeIdentifier})"),
        new("system", RuntimeInformation.OSDescription),
        new("processor", ProcessorField("model name") ?? RuntimeInformation.ProcessArchitecture.ToString()),
        new("cores", $"{Environment.ProcessorCount} for this process"),
        new("instructions", Features()),
        new("memory", $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (double)(1L << 30):0.0} GiB for this process"),
    ];

    private static string Features()
    {
        var present = (ProcessorField("flags") ?? ProcessorField("Features") ?? "").Split(' ');
        return string.Join(' ', FeaturesThatMatter.Intersect(present)) is { Length: > 0 } found ? found : "unknown";
    }

    private static string? ProcessorField(string name) => !File.Exists(ProcessorFile)
        ? null
        : File.ReadLines(ProcessorFile)
            .Select(line => line.Split(':', 2))
            .FirstOrDefault(parts => parts.Length == 2 && parts[0].Trim() == name)?[1].Trim();
}
