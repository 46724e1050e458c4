using System.Diagnostics;
using System.Globalization;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Memory;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;
using TorchSharp;
using Tensor = TorchSharp.torch.Tensor;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// A step of distillation at ViT-B/16 with the fork's five memory layers: seconds and peak memory, with and without gradient checkpointing,
/// and with the teacher's features at hand. Every way runs in a process of its own, for the peak of one would hide that of another.
/// </summary>
internal static class DistillationBenchmark
{
    /// <summary>The word that makes the program a measuring process.</summary>
    public const string Child = "distill-step";

    private static readonly string[] _ways = ["plain", "checkpointing", "cached", "cached-checkpointing"];

    /// <summary>Runs the measurements.</summary>
    /// <param name="batch">Images of a micro-batch.</param>
    /// <param name="steps">Steps that are timed, after one that warms up.</param>
    /// <param name="threads">Threads.</param>
    public static void Run(int batch, int steps, int threads)
    {
        Console.WriteLine($"distillation step, ViT-B/16 size, random weights, batch {batch}, {threads} threads, median of {steps} steps");
        foreach (var way in _ways)
        {
            string[] words = [Child, way, $"{batch}", $"{steps}", $"{threads}"];
            var program = Environment.ProcessPath!;
            var start = Path.GetFileNameWithoutExtension(program) == "dotnet"
                ? new ProcessStartInfo(program, [Environment.GetCommandLineArgs()[0], .. words])
                : new ProcessStartInfo(program, words);
            using var process = Process.Start(start)!;
            process.WaitForExit();
        }
    }

    /// <summary>Measures one way and prints it.</summary>
    public static void Measure(string way, int batch, int steps, int threads)
    {
        torch.set_num_threads(threads);
        var config = ClipConfigs.Get("ViT-B-16") with { Text = null };
        var weights = RandomModel.Create(config);
        using var student = MemoryStudent.Of(weights, new() { Blocks = MemoryConfig.EverySecondBlock(12) }, MemoryStart.Proper, seed: 0);
        MemoryStudent.TrainOnlyMemory(student);
        var isCached = way.StartsWith("cached", StringComparison.Ordinal);
        // As the command has it: a teacher with packed weights, or none once its features are known.
        using var teacher = isCached ? null : new ClipModel(
            weights.Config, new WeightTable("copy", weights.Weights.Names.Select(name => KeyValuePair.Create(name, weights.Weights[name].clone()))), new OneDnnBackend(ExecutionMode.Simulated));
        weights.Dispose();
        var images = torch.randn(batch, 3, 224, 224);
        var wanted = isCached ? torch.randn(batch, 512) : null;
        var passes = new TowerPasses(student, null, 0);
        using var optimizer = new AdamW(ParameterGroups.Of(student.Weights, 0.2), new());
        var cosine = FeatureLosses.All.Find("cosine");
        var checkpointing = way.EndsWith("checkpointing", StringComparison.Ordinal);
        double Step() => PairedTiming.Seconds(() =>
        {
            using var scope = torch.NewDisposeScope();
            optimizer.ZeroGradients();
            using var pass = passes.Images(images, default, checkpointing, normalize: false);
            var features = pass.Features.detach().requires_grad_();
            cosine.Of(wanted ?? Encode(teacher!, images), features).backward();
            pass.Backward(features.grad!);
            optimizer.Step(1e-4, optimizer.GradientNorm(), 1);
        });
        Step();
        var before = Memory("VmRSS");
        ForgetPeak();
        double[] times = [.. Enumerable.Range(0, steps).Select(_ => Step()).Order()];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {way,-22} {times[times.Length / 2],6:0.00} s, peak {Memory("VmHWM"),6:0} MB, between steps {before,6:0} MB"));
    }

    private static Tensor Encode(ClipModel teacher, Tensor images)
    {
        using var noGradient = torch.no_grad();
        return teacher.Vision.Encode(images);
    }

    // Linux keeps the highest resident memory of a process, until it is told to begin anew.
    private static void ForgetPeak()
    {
        const string file = "/proc/self/clear_refs";
        if (File.Exists(file))
        {
            File.WriteAllText(file, "5");
        }
    }

    private static double Memory(string field) => File.Exists("/proc/self/status")
        && File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal)) is { } line
            ? double.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024
            : double.NaN;
}
