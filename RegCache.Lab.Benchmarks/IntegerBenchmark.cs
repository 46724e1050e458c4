using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Merging;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Registers;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// Images per second of a ViT-B/16-size tower in 8-bit integers, and in float32 and bfloat16 on oneDNN, against the same tower
/// in PyTorch and against the bound that the 8-bit products alone set.
/// </summary>
internal static class IntegerBenchmark
{
    private const string TorchFloat = "PyTorch fp32", TorchBfloat = "PyTorch bf16", Operators = "kit fp32, tensor operators";
    private const string Float = "kit fp32", Bfloat = "kit bf16", Simulated = "kit W8A8 simulated";
    private const string Dynamic = "kit W8A8 integer", Static = "kit W8A8 integer, static ranges";
    private const string RegCached = "kit W8A8 integer, RegCache 4+3", Merged = "kit W8A8 integer, ToMe r=13", Bound = "8-bit products alone";
    private const string FloatBound = "fp32 products alone", BfloatBound = "bf16 products alone";

    private const int MergedTokens = 13, PrefixTokens = 4, DeletedTokens = 3, SensitiveBlock = 6;

    public static void Run(int batch, int rounds, int threads)
    {
        torch.set_num_threads(threads);
        if (OneDnn.Support.IntegerProblem is { } problem)
        {
            Console.WriteLine($"Nothing to measure: {problem}.");
            return;
        }

        Console.WriteLine($"ViT-B/16, batch {batch}, {threads} threads, {rounds} rounds; {OneDnn.Support.Description}");
        var config = ClipConfigs.Get("ViT-B-16") with { Text = null };
        using var noGradient = torch.inference_mode();
        using var integer = RandomModel.Create(config, new OneDnnBackend(ExecutionMode.Integer));
        using var simulated = RandomModel.Create(config, new OneDnnBackend(ExecutionMode.Simulated));
        using var operators = RandomModel.Create(config);
        using var images = torch.randn(batch, 3, 224, 224);
        using var narrow = images.to(torch.ScalarType.BFloat16);
        var plans = new Plans(integer.Vision, images);
        using var runner = new PlanRunner(integer.Vision);
        using var simulatedRunner = new PlanRunner(simulated.Vision);
        double Encode(EncoderPlan plan, PlanRunner on) => PairedTiming.Seconds(() => on.Run(images, plan).Dispose());

        var contest = new RoundRobin();
        using var torchFloat = AddPeer(contest, TorchFloat, "float32", config, batch, threads);
        using var torchBfloat = torchFloat is null ? null : AddPeer(contest, TorchBfloat, "bfloat16", config, batch, threads);
        contest.Add(Operators, () => PairedTiming.Seconds(() => operators.Vision.Encode(images).Dispose()));
        contest.Add(Float, () => PairedTiming.Seconds(() => integer.Vision.Encode(images).Dispose()));
        using var bfloat = OneDnn.Support.BfloatProblem is null
            ? new ClipModel(config, RandomModel.Weights(config).Place(torch.CPU, torch.ScalarType.BFloat16), new OneDnnBackend(ExecutionMode.Simulated))
            : null;
        if (bfloat is not null)
        {
            contest.Add(Bfloat, () => PairedTiming.Seconds(() => bfloat.Vision.Encode(narrow).Dispose()));
        }

        contest.Add(Simulated, () => Encode(plans.Naive, simulatedRunner));
        contest.Add(Dynamic, () => Encode(plans.Naive, runner));
        contest.Add(RegCached, () => Encode(plans.RegCached, runner));
        contest.Add(Static, () => Encode(plans.Static, runner));
        contest.Add(Merged, () => Encode(plans.Merged, runner));
        var rows = batch * (config.Vision.Patches + 1);
        void AddProducts(string name, IReadOnlyList<OneDnnLinear> layers) =>
            contest.Add(name, () => PairedTiming.Seconds(() => Multiply(layers, rows)));
        AddProducts(FloatBound, Layers(integer.Vision.Running[0]));
        if (bfloat is not null)
        {
            AddProducts(BfloatBound, Layers(bfloat.Vision.Running[0]));
        }

        AddProducts(Bound, Layers(integer.Vision.Backend!.Prepare(0, new NaiveQuantizer(new(8, 8)).Apply(0, integer.Vision.Blocks[0]))));
        contest.Run(rounds);
        Report(contest, batch);
        ReportKinds(() => Encode(plans.Naive, runner), threads);
    }

    private static PyTorchPeer? AddPeer(RoundRobin contest, string name, string type, ClipConfig config, int batch, int threads)
    {
        var peer = PyTorchPeer.StartTower("vit.py", config, batch, threads, type);
        if (peer is not null)
        {
            contest.Add(name, peer.Run);
        }

        return peer;
    }

    private static IReadOnlyList<OneDnnLinear> Layers(BlockLayers prepared) =>
        [.. LinearKinds.All.Select(kind => (OneDnnLinear)prepared.Linear(kind)!)];

    private static void Multiply(IReadOnlyList<OneDnnLinear> layers, int rows)
    {
        var blocks = ClipConfigs.Get("ViT-B-16").Vision.Layers;
        for (var block = 0; block < blocks; block++)
        {
            foreach (var layer in layers)
            {
                layer.Multiply(rows);
            }
        }
    }

    private static void Report(RoundRobin contest, int batch)
    {
        Console.WriteLine($"  {"",-36} images/s   x {TorchFloat,-22} x {TorchBfloat}");
        foreach (var name in contest.Names)
        {
            string Against(string other)
            {
                if (!contest.Has(other) || name == other)
                {
                    return "";
                }

                var (median, low, high) = contest.Ratio(name, other);
                return $"{median:0.00} ({low:0.00} .. {high:0.00})";
            }

            Console.WriteLine($"  {name,-36} {batch / contest.Median(name),8:0.00}   {Against(TorchFloat),-24} {Against(TorchBfloat)}");
        }

        foreach (var (name, bound) in new[] { (Float, FloatBound), (Bfloat, BfloatBound), (Dynamic, Bound) }.Where(pair => contest.Has(pair.Item1)))
        {
            Console.WriteLine($"  {name} reaches {100 * contest.Ratio(name, bound).Median:0} % of what the {bound} would allow");
        }

        var (cost, lowest, highest) = contest.Ratio(Dynamic, RegCached);
        Console.WriteLine(
            $"  RegCache (prefix {PrefixTokens}, delete {DeletedTokens}) takes {100 * (cost - 1):0.0} % more time ({100 * (lowest - 1):0.0} .. {100 * (highest - 1):0.0})");
        Console.WriteLine($"  integers and merging (r = {MergedTokens}) against unmerged fp32: {contest.Ratio(Merged, Float).Median:0.00} times this kit's, {contest.Ratio(Merged, Operators).Median:0.00} times the tensor operators'");
    }

    private static void ReportKinds(Func<double> run, int threads)
    {
        NativeCall.TakeTimes();
        const int Repetitions = 3;
        var wall = Enumerable.Range(0, Repetitions).Sum(_ => run()) / Repetitions;
        var times = NativeCall.TakeTimes();
        Console.WriteLine("  where the time of integer execution goes, milliseconds of all threads together divided by their number:");
        void Line(string name, double seconds) =>
            Console.WriteLine($"    {name,-52} {1000 * seconds,7:0.0}  {100 * seconds / wall,5:0.0} %");
        var inside = 0.0;
        foreach (var (name, seconds) in new[]
        {
            ("8-bit products", times.Product),
            ("attention (products in float, softmax)", times.Attention),
            ("scales, zero points, bias, GELU, residual", times.Finish),
            ("LayerNorm and quantizing", times.Encode),
            ("ranges", times.Measure),
        })
        {
            inside += seconds / threads / Repetitions;
            Line(name, seconds / threads / Repetitions);
        }

        Line("patches, class token, projection, waiting", wall - inside);
        Line("sum", wall);
    }

    private sealed class Plans
    {
        public Plans(VisionTower tower, torch.Tensor images)
        {
            var layers = tower.Blocks.Count;
            IQuantizer quantizer = new NaiveQuantizer(new(8, 8));
            var plain = EncoderPlan.Plain(layers);
            torch.Tensor Row() => torch.randn(tower.Config.Width);
            var prefix = new RegisterPrefix("random", Enumerable.Range(0, layers).ToDictionary(block => block, _ => (Row(), Row())));
            Naive = quantizer.ApplyTo(plain);
            RegCached = quantizer.ApplyTo(new RegCacheSetting(SensitiveBlock - 1, PrefixTokens, SensitiveBlock, DeletedTokens).ApplyTo(plain, prefix));
            Merged = quantizer.ApplyTo(MergingSetting.ToMe(MergedTokens).ApplyTo(plain));
            using var calibration = new CalibrationImages(images.narrow(0, 0, 1).clone(), "random");
            Static = new StaticRangeCalibrator(tower, calibration, new NaiveQuantizer(new(8, 8)), 1).Calibrate(plain).ApplyTo(plain);
        }

        public EncoderPlan Naive { get; }

        public EncoderPlan RegCached { get; }

        public EncoderPlan Static { get; }

        public EncoderPlan Merged { get; }
    }
}
