using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;
using RegCache.Lab.Training.ShapesClip;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// What it costs to train in several processes: the interface with one process, two processes with one thread each against one with two, and the
/// bytes that really go from process to process.
/// </summary>
internal static class DistributedBenchmark
{
    /// <summary>The word that makes the program one process of a run.</summary>
    public const string Child = "distributed-worker";

    private const int WarmUp = 3;

    /// <summary>Runs the measurements.</summary>
    /// <param name="steps">Training steps of a run.</param>
    /// <param name="pairs">Pairs of runs.</param>
    public static void Run(int steps, int pairs)
    {
        MeasureInterface(steps, pairs);
        if (MpiGroup.Version is not { } version)
        {
            Console.WriteLine("MPI is not built in, so several processes are not measured (./lab setup).");
            return;
        }

        var (alone, together) = (new List<Measured>(), new List<Measured>());
        for (var pair = 0; pair < pairs; pair++)
        {
            alone.Add(Launch(1, steps, threads: 2));
            together.Add(Launch(2, steps));
        }

        double Middle(List<Measured> runs, Func<Measured, double> value) => runs.Select(value).Order().ElementAt(pairs / 2);
        void Tell(string name, List<Measured> runs) => Console.WriteLine(
            $"  {name,-25} {Middle(runs, run => run.Seconds) * 1000,8:0.0} ms a step, of which {Middle(runs, run => run.Waiting) * 1000:0.0} in operations and waiting");
        Console.WriteLine($"demo training, 128 images a step, {steps} steps, {pairs} pairs, {version}");
        Tell("1 process, 2 threads", alone);
        Tell("2 processes, 1 thread", together);
        Console.WriteLine($"  processes over threads    {alone.Zip(together, (one, two) => one.Seconds / two.Seconds).Order().ElementAt(pairs / 2),8:0.00}");
        Console.WriteLine($"  sums during the backward pass over sums behind it {Middle(together, run => run.Overlap):0.000}");
        MeasureFit(steps, pairs);
        foreach (var processes in new[] { 2, 4 })
        {
            var sent = BytesSent(processes, steps, out var measured);
            var least = measured.ModelBytes * 2.0 * (processes - 1) / processes;
            Console.WriteLine(
                $"  {processes} processes send         {sent / 1e6,8:0.00} MB each a step; a model of {measured.ModelBytes / 1e6:0.00} MB x 2 (K - 1) / K is {least / 1e6:0.00} MB");
        }
    }

    /// <summary>
    /// One process of a run that <see cref="Run"/> has started: trains, and the first one writes what it measured. In every other step the sums
    /// of gradients wait for the end of the backward pass.
    /// </summary>
    /// <param name="steps">Training steps of each kind.</param>
    /// <param name="threads">Threads of this process.</param>
    public static void Work(int steps, int threads)
    {
        torch.set_num_threads(threads);
        var group = new SwitchedSums(Processes.Current);
        using var task = new ShapesClipTask(
            new() { TrainImages = 2000, ValidationImages = 48, Phases = [new() { Steps = 2 * (WarmUp + steps), FullTokenSteps = 1, MinTokens = 34, MaxTokens = 34 }] }, group);
        var waiting = new List<double>();
        var step = 0;
        double Step(bool overlaps) => PairedTiming.Seconds(() =>
        {
            group.Overlaps = overlaps;
            var before = group.Waited;
            task.Prepare(step);
            task.Step(step++).Dispose();
            if (overlaps)
            {
                waiting.Add((group.Waited - before).TotalSeconds);
            }
        });

        PairedTiming.Measure(WarmUp - 1, () => Step(true), () => Step(false));
        waiting.Clear();
        var timing = PairedTiming.Measure(steps, () => Step(true), () => Step(false), warmUp: false);
        var model = task.Model.Weights.Names.Sum(name => task.Model.Weights[name].NumberOfElements * task.Model.Weights[name].ElementSize);
        var all = group.GatherNumbers(waiting.Order().ElementAt(steps / 2));
        if (group.Rank == 0)
        {
            Console.WriteLine(JsonSerializer.Serialize(new Measured(timing.FirstMedian, all.Average(process => process[0]), timing.Ratio, model)));
        }

        Processes.End();
    }

    // What docs/scaling.md fits: processes of one thread each, and what two of them take that have nothing to do with each other but the machine.
    private static void MeasureFit(int steps, int rounds)
    {
        Measured Unrelated() => Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Run(() => Launch(1, steps)))).Result[0];
        (string Name, Func<Measured> Run)[] all =
            [("1 process", () => Launch(1, steps)), ("2 unrelated ones at once", Unrelated), ("2 processes", () => Launch(2, steps)), ("4 processes", () => Launch(4, steps))];
        var seconds = Enumerable.Range(0, rounds).Select(_ => Array.ConvertAll(all, one => one.Run().Seconds)).ToArray();
        Console.WriteLine("one thread each");
        foreach (var (index, one) in all.Index())
        {
            Console.WriteLine($"  {one.Name,-25} {seconds.Select(round => round[index]).Order().ElementAt(rounds / 2) * 1000,8:0.0} ms a step");
        }
    }

    // The steps of a training without the interface's calls, and with them.
    private static void MeasureInterface(int steps, int pairs)
    {
        torch.set_num_threads(Environment.ProcessorCount);
        var config = ShapesClipArchitecture.Config;
        using var model = new ClipModel(config, ClipInitialization.Draw(config, seed: 0));
        foreach (var name in model.Weights.Names)
        {
            model.Weights[name].requires_grad = true;
        }

        var gradients = new ClipGradients(model, new() { PatchDropout = 0.45 });
        using var optimizer = new AdamW(ParameterGroups.Of(model.Weights, 0), new(Epsilon: 1e-8));
        IProcessGroup alone = SingleProcess.Instance;
        var average = new GradientAverage(alone, optimizer.Parameters);
        var marked = new ClipGradients(model, new() { PatchDropout = 0.45, Average = average });
        using var data = new ClipBatch(
            torch.randn(128, 3, config.Vision.ImageSize.Height, config.Vision.ImageSize.Width),
            torch.randint(1, config.Text!.VocabSize - 1, [128, config.Text.ContextLength], torch.ScalarType.Int64),
            "random");
        var step = 0;
        var timing = PairedTiming.Measure(steps * pairs, () => Step(throughInterface: true), () => Step(throughInterface: false));
        Console.WriteLine(
            $"one process, {steps * pairs} pairs of steps: {timing.FirstMedian * 1000:0.00} ms through the interface, {timing.SecondMedian * 1000:0.00} ms without, ratio {timing.Ratio:0.000}");

        double Step(bool throughInterface) => PairedTiming.Seconds(() =>
        {
            using var scope = torch.NewDisposeScope();
            optimizer.ZeroGradients();
            average.Begin();
            (throughInterface ? marked : gradients).Accumulate([data], CounterRandom.Of(0, 0, step++));
            if (throughInterface)
            {
                average.End();
                _ = alone.Any(false);
                _ = alone.GatherNumbers(1, 2, 3);
            }

            optimizer.Step(1e-4, optimizer.GradientNorm(), 1);
            ClipTask.ClampLogitScale(model);
        });
    }

    private static Measured Launch(int processes, int steps, int threads = 1, string[]? options = null)
    {
        string[] work = [Environment.ProcessPath!, Child, $"{steps}", $"{threads}"];
        var start = processes == 1
            ? new ProcessStartInfo(work[0], work[1..])
            : new ProcessStartInfo("mpirun", ["--oversubscribe", "--bind-to", "none", "-np", $"{processes}", .. options ?? [], .. work]);
        start.RedirectStandardOutput = true;
        (start.Environment["OMPI_ALLOW_RUN_AS_ROOT"], start.Environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"]) = ("1", "1");

        // What mpirun gives its processes looks like a terminal, to which the runtime writes its codes.
        start.Environment["TERM"] = "dumb";
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? JsonSerializer.Deserialize<Measured>(output.Split('\n').First(line => line.StartsWith('{')))!
            : throw new UserException($"{start.FileName} ended with {process.ExitCode}.");
    }

    // Open MPI counts what leaves a process; the mean over processes, less what they send before the first step.
    private static double BytesSent(int processes, int steps, out Measured measured)
    {
        double Sent(int count, out Measured result)
        {
            var folder = Directory.CreateTempSubdirectory("regcache-sent-");
            try
            {
                result = Launch(
                    processes, count, options: ["--mca", "pml_monitoring_enable", "2", "--mca", "pml_monitoring_enable_output", "3", "--mca", "pml_monitoring_filename",
                    Path.Combine(folder.FullName, "sent")]);
                return folder.GetFiles("*.prof").SelectMany(file => File.ReadLines(file.FullName))
                    .Select(line => line.Split('\t')).Where(cells => cells[0] is "I" or "E" && cells.Length > 3)
                    .Sum(cells => double.Parse(cells[3].Split(' ')[0], CultureInfo.InvariantCulture)) / processes;
            }
            finally
            {
                folder.Delete(recursive: true);
            }
        }

        var fewer = Sent(steps, out _);
        return (Sent(2 * steps, out measured) - fewer) / (2 * steps);
    }

    // The same processes, whose sums wait for the end of the backward pass unless they are to overlap with it.
    private sealed class SwitchedSums(IProcessGroup group) : IProcessGroup
    {
        private readonly List<torch.Tensor> _begun = [];

        public bool Overlaps { get; set; }

        public int Rank => group.Rank;

        public int Size => group.Size;

        public int LocalRank => group.LocalRank;

        public int LocalSize => group.LocalSize;

        public string Machine => group.Machine;

        public string Transport => group.Transport;

        public TimeSpan Waited => group.Waited;

        public long BytesSummed => group.BytesSummed;

        public void Barrier() => group.Barrier();

        public void Broadcast(torch.Tensor tensor, int from = 0) => group.Broadcast(tensor, from);

        public void Sum(torch.Tensor tensor) => group.Sum(tensor);

        public void BeginSum(torch.Tensor tensor)
        {
            if (Overlaps)
            {
                group.BeginSum(tensor);
            }
            else
            {
                _begun.Add(tensor);
            }
        }

        public void EndSums()
        {
            _begun.ForEach(group.Sum);
            _begun.Clear();
            group.EndSums();
        }

        public torch.Tensor Gather(torch.Tensor tensor) => group.Gather(tensor);

        public void Abort(int code) => group.Abort(code);

        public void Dispose() => group.Dispose();
    }

    private sealed record Measured(double Seconds, double Waiting, double Overlap, long ModelBytes);
}
