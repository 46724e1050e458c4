using System.Diagnostics;
using RegCache.Lab.Encoders;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// Images per second of plans on random images. The plans take turns repeat by repeat, so that ratios stand on a machine
/// whose speed changes.
/// </summary>
public static class Throughput
{
    /// <summary>Measures the plans.</summary>
    /// <param name="tower">The encoder.</param>
    /// <param name="plans">The plans; ratios are to the first, usually the plain one.</param>
    /// <param name="options">Batch, runs and repeats.</param>
    /// <param name="progress">Told of the repeats done; null for nobody.</param>
    /// <param name="cancellation">Stops between two passes.</param>
    /// <returns>One result for each plan.</returns>
    public static IReadOnlyList<ThroughputResult> Measure(
        VisionTower tower,
        IReadOnlyList<EncoderPlan> plans,
        ThroughputOptions options,
        IWorkProgress? progress = null,
        CancellationToken cancellation = default)
    {
        using var runner = new PlanRunner(tower);
        using var images = Images(tower, options);
        return InTurn([.. plans.Select(plan => (runner, plan, images))], options, progress, cancellation);
    }

    /// <summary>Measures encoders as they are, in turn; ratios are to the first.</summary>
    /// <param name="towers">The encoders.</param>
    /// <param name="options">Batch, runs and repeats.</param>
    /// <param name="progress">Told of the repeats done; null for nobody.</param>
    /// <param name="cancellation">Stops between two passes.</param>
    /// <returns>One result for each encoder.</returns>
    public static IReadOnlyList<ThroughputResult> Measure(
        IReadOnlyList<VisionTower> towers, ThroughputOptions options, IWorkProgress? progress = null, CancellationToken cancellation = default)
    {
        using var scope = torch.NewDisposeScope();
        (PlanRunner Runner, EncoderPlan, Tensor)[] runs =
            [.. towers.Select(tower => (new PlanRunner(tower), EncoderPlan.Plain(tower.Blocks.Count), Images(tower, options)))];
        try
        {
            return InTurn(runs, options, progress, cancellation);
        }
        finally
        {
            Array.ForEach(runs, run => run.Runner.Dispose());
        }
    }

    private static ThroughputResult[] InTurn(
        (PlanRunner Runner, EncoderPlan Plan, Tensor Images)[] runs, ThroughputOptions options, IWorkProgress? progress, CancellationToken cancellation)
    {
        using var noGradient = torch.inference_mode();
        using var handle = (progress ?? SilentProgress.Instance).Start("throughput", (long)options.Repeats * runs.Length, "measurements");
        var speeds = runs.Select(_ => new double[options.Repeats]).ToArray();
        for (var repeat = 0; repeat < options.Repeats; repeat++)
        {
            foreach (var (index, (runner, plan, images)) in runs.Index())
            {
                speeds[index][repeat] = Repeat(runner, plan, images, options, cancellation);
                handle.Report(((long)repeat * runs.Length) + index + 1);
            }
        }

        return [.. speeds.Select(own => new ThroughputResult(Median(own), Median([.. own.Zip(speeds[0], (speed, plain) => speed / plain)])))];
    }

    private static Tensor Images(VisionTower tower, ThroughputOptions options)
    {
        var ((device, type), (height, width)) = (tower.Placement, tower.Config.ImageSize);
        return TensorScope.Run(() => torch.rand([options.Batch, tower.Config.Channels, height, width], device: device).to(type));
    }

    private static double Repeat(
        PlanRunner runner, EncoderPlan plan, Tensor images, ThroughputOptions options, CancellationToken cancellation)
    {
        var warmUp = options.Runs / 4;
        var clock = new Stopwatch();
        for (var run = 0; run < options.Runs; run++)
        {
            cancellation.ThrowIfCancellationRequested();
            if (run == warmUp)
            {
                Synchronize(images);
                clock.Start();
            }

            runner.Run(images, plan).Dispose();
        }

        Synchronize(images);
        return (options.Runs - warmUp) * images.shape[0] / clock.Elapsed.TotalSeconds;
    }

    private static void Synchronize(Tensor images)
    {
        if (images.is_cuda)
        {
            torch.cuda.synchronize(images.device);
        }
    }

    private static double Median(double[] values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}

/// <summary>The protocol of a throughput measurement; by default that of ToMe's benchmark, repeated.</summary>
public sealed record ThroughputOptions
{
    /// <summary>Images in a batch.</summary>
    public int Batch { get; init; } = 64;

    /// <summary>Forward passes of a repeat; the first quarter warms up and is not timed.</summary>
    public int Runs { get; init; } = 40;

    /// <summary>Repeats, of which the median counts.</summary>
    public int Repeats { get; init; } = 3;
}

/// <summary>How fast a plan runs.</summary>
/// <param name="ImagesPerSecond">Median over the repeats.</param>
/// <param name="Ratio">Median over the repeats of its speed relative to the first plan's in the same repeat.</param>
public sealed record ThroughputResult(double ImagesPerSecond, double Ratio);
