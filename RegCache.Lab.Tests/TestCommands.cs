using System.CommandLine;
using RegCache.Lab.Cli;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Distributed;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Distributed;
using TorchSharp;

namespace RegCache.Lab.Tests;

/// <summary>Commands that do what tests need to see from outside: wait, fail, hold a folder, print their options.</summary>
internal static class TestCommands
{
    public static IReadOnlyList<KitCommand> All { get; } =
        [new Obedient(), new Deaf(), new Failing(), new Holding(), new Staged(), new Options(), new Threads(), new Together(), new Lost()];

    /// <summary>Waits until it is cancelled.</summary>
    private sealed class Obedient : KitCommand
    {
        public override string Path => "test wait";

        public override string Description => "Waits.";

        public override int Run(CommandContext context)
        {
            using var progress = context.Progress.Start("waiting", 1000, "seconds");
            context.Output.WriteLine("ready");
            context.Cancellation.WaitHandle.WaitOne();
            context.Cancellation.ThrowIfCancellationRequested();
            return 0;
        }
    }

    /// <summary>Does not look at its token.</summary>
    private sealed class Deaf : KitCommand
    {
        public override string Path => "test deaf";

        public override string Description => "Waits and does not listen.";

        public override int Run(CommandContext context)
        {
            using var noticed = context.Cancellation.Register(() => context.Output.WriteLine("asked"));
            context.Output.WriteLine("ready");
            Thread.Sleep(Timeout.Infinite);
            return 0;
        }
    }

    /// <summary>Throws what its word says.</summary>
    private sealed class Failing : KitCommand
    {
        private readonly Argument<string> _how = new("how");

        public override string Path => "test fail";

        public override string Description => "Fails.";

        public override void Declare(Command command) => command.Add(_how);

        public override int Run(CommandContext context) => throw (context.Arguments.GetRequiredValue(_how) switch
        {
            "user" => new UserException("The file a.safetensors is cut off.", new InvalidOperationException("inner cause")),
            "memory" => new InsufficientMemoryException(),
            "device-memory" => new InvalidOperationException("CUDA out of memory. Tried to allocate 2 GiB"),
            "missing" => new DllNotFoundException("Unable to load libTorchSharpBridge"),
            "type" => new TypeInitializationException("Some.Type", new UserException("It cannot be.")),
            "access" => new UnauthorizedAccessException("Access to the path is denied."),
            "aggregate" => new AggregateException(new UserException("One of many.")),
            "cancelled" => new OperationCanceledException("nobody asked"),
            _ => new InvalidOperationException("An inner state\nis odd."),
        });
    }

    /// <summary>Holds a run directory until it is cancelled.</summary>
    private sealed class Holding : KitCommand
    {
        private readonly RunOptions _run = new();

        public override string Path => "test hold";

        public override string Description => "Holds a run directory.";

        public override void Declare(Command command) => _run.AddTo(command);

        public override int Run(CommandContext context)
        {
            var options = _run.Read(context.Arguments, new());
            using var run = RunDirectory.Open(options.RunDirectory!, options.Force, context.Progress);
            context.Output.WriteLine("ready");
            context.Cancellation.WaitHandle.WaitOne();
            context.Cancellation.ThrowIfCancellationRequested();
            return 0;
        }
    }

    /// <summary>Adds up numbers in a run directory, slowly and with a checkpoint at every step.</summary>
    private sealed class Staged : KitCommand
    {
        public const int Steps = 400;
        private readonly RunOptions _run = new();

        public override string Path => "test stage";

        public override string Description => "Runs a stage.";

        public override void Declare(Command command) => _run.AddTo(command);

        public override int Run(CommandContext context)
        {
            var options = _run.Read(context.Arguments, new());
            using var run = RunDirectory.Open(options.RunDirectory!, options.Force, context.Progress);
            var key = StageKey.Of(new { options.Seed, Steps });
            var sum = run.Stages.GetOrCompute("stage1", key, () => Compute(run.Stages.Checkpoint<Sum>("stage1", key, TimeSpan.Zero), options.Seed, context.Output));
            context.Output.WriteLine($"sum {sum.Value:R}");
            return 0;
        }

        private static Sum Compute(StageCheckpoint<Sum> checkpoint, long seed, TextWriter output)
        {
            var sum = checkpoint.TryLoad(out var state) ? state : new Sum(0, 0);
            output.WriteLine($"from {sum.Done}");
            while (sum.Done < Steps)
            {
                sum = new Sum(sum.Done + 1, sum.Value + 1.0 / (sum.Done + 3 + seed));
                checkpoint.Offer(() => sum);
                Thread.Sleep(1);
            }

            return sum;
        }

        private sealed record Sum(int Done, double Value);
    }

    /// <summary>Prints what the shared options say.</summary>
    private sealed class Options : KitCommand
    {
        private readonly RunOptions _run = new();
        private readonly DataOptions _data = new();
        private readonly BaselineOption _baseline = new();

        public override string Path => "test options";

        public override string Description => "Prints its options.";

        public override void Declare(Command command)
        {
            _run.AddTo(command);
            _data.AddTo(command, DataVariable.TrainSample, DataVariable.ImageNetValidation);
            _baseline.AddTo(command);
        }

        public override int Run(CommandContext context)
        {
            context.Output.WriteLine($"{_run.Read(context.Arguments, new())}, DryRun = {_run.IsDryRun(context.Arguments)}");
            context.Output.WriteLine($"Verbose = {context.Arguments.GetValue(CommandTree.Verbose)}");
            context.Output.WriteLine($"{_data.Read(context.Arguments)}");
            context.Output.WriteLine($"Baseline = {_baseline.Read(context.Arguments)}");
            context.Output.WriteLine($"Half = {0.5}");
            context.Output.WriteLine(context.CommandLine);
            return 0;
        }
    }

    /// <summary>As one of several processes: tries the collectives, then trains as one process does, and compares.</summary>
    private sealed class Together : KitCommand
    {
        private readonly Argument<string[]> _trainings = new("trainings") { Arity = ArgumentArity.ZeroOrMore };

        public override string Path => "test together";

        public override string Description => "Compares trainings of several processes with those of one.";

        public override bool SharesWork => true;

        public override void Declare(Command command) => command.Add(_trainings);

        public override int Run(CommandContext context)
        {
            torch.set_num_threads(1);
            var group = Processes.Current;
            using var part = torch.full([group.Rank, 3], group.Rank, torch.ScalarType.BFloat16);
            using var all = group.Gather(part);
            using var sum = torch.full([3, 2], group.Rank + 1.0).t();
            group.Sum(sum);
            using var half = torch.ones(4, torch.ScalarType.Float16);
            group.Sum(half);
            using var flags = torch.tensor(new[] { group.Rank == 1 });
            group.Broadcast(flags, from: 1);
            context.Output.WriteLine(
                $"gathered {all.shape[0]} rows, sum {sum.sum().ToDouble()}, halves {half.sum().ToDouble()}, flag {flags.item<bool>()}, texts {string.Join('|', group.GatherTexts($"process {group.Rank}"))}");
            foreach (var name in context.Arguments.GetRequiredValue(_trainings))
            {
                var together = TinyTrainings.Run(name, group);
                var alone = group.Rank == 0 ? TinyTrainings.Run(name, SingleProcess.Instance) : together;
                var (size, weight) = TinyTrainings.Difference(alone.Weights, together.Weights);
                context.Output.WriteLine($"{name}: {size:0.0E+0} in {weight}");
            }

            return 0;
        }
    }

    /// <summary>The last process fails, or is killed, while the others wait for it.</summary>
    private sealed class Lost : KitCommand
    {
        private readonly Argument<string> _how = new("how");

        public override string Path => "test lost";

        public override string Description => "Loses a process.";

        public override bool SharesWork => true;

        public override void Declare(Command command) => command.Add(_how);

        public override int Run(CommandContext context)
        {
            var group = Processes.Current;
            group.Barrier();
            if (group.Rank == group.Size - 1)
            {
                if (context.Arguments.GetRequiredValue(_how) == "fails")
                {
                    throw new UserException("The shard 7.tar does not exist.");
                }

                System.Diagnostics.Process.GetCurrentProcess().Kill();
            }

            group.Barrier();
            return 0;
        }
    }

    /// <summary>Chooses one thread, uses functions of the engine for the first time, and prints the number of threads.</summary>
    private sealed class Threads : KitCommand
    {
        public override string Path => "test threads";

        public override string Description => "Prints the number of threads.";

        public override int Run(CommandContext context)
        {
            torch.set_num_threads(1);
            using var ones = torch.ones(8);
            using var sum = ones + ones;
            context.Output.WriteLine($"Threads = {torch.get_num_threads()}, {sum.sum().item<float>()}");
            return 0;
        }
    }
}
