using Microsoft.ML.OnnxRuntime;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Quantization.Integer;
using TorchSharp;
using ExecutionMode = RegCache.Lab.Quantization.Integer.ExecutionMode;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// Images per second of a ViT-B/16-size vision tower in float32: this kit on its engine (as commands run it) and on tensor operators (as training runs
/// it), the same tower in PyTorch, and PyTorch's export of it in ONNX Runtime.
/// </summary>
internal static class EncoderBenchmark
{
    private const string Engine = "this kit, engine", Operators = "this kit, tensor operators", Torch = "PyTorch", Onnx = "ONNX Runtime";

    public static void Run(int batch, int rounds, int threads)
    {
        torch.set_num_threads(threads);
        var config = ClipConfigs.Get("ViT-B-16") with { Text = null };
        using var engine = RandomModel.Create(config, new OneDnnBackend(ExecutionMode.Simulated));
        using var operators = RandomModel.Create(config);
        using var images = torch.randn(batch, 3, 224, 224);
        using var peer = PyTorchPeer.StartTower("vit.py", config, batch, threads);
        using var exported = peer is null ? null : Export(peer, images, threads);
        using var noGradient = torch.inference_mode();
        var contest = new RoundRobin();
        contest.Add(Engine, () => PairedTiming.Seconds(() => engine.Vision.Encode(images).Dispose()));
        contest.Add(Operators, () => PairedTiming.Seconds(() => operators.Vision.Encode(images).Dispose()));
        if (peer is not null && exported is not null)
        {
            contest.Add(Torch, peer.Run);
            contest.Add(Onnx, exported.Run);
        }

        contest.Run(rounds);
        Console.WriteLine($"ViT-B/16 fp32, batch {batch}, {threads} threads, {rounds} rounds");
        Console.WriteLine($"  {"",-28} images/s   engine is faster by   PyTorch is faster by");
        foreach (var name in contest.Names)
        {
            Console.WriteLine($"  {name,-28} {batch / contest.Median(name),8:0.00}   {Against(Engine, name),-19}   {Against(Torch, name)}");
        }

        string Against(string first, string second)
        {
            if (first == second || !contest.Has(first))
            {
                return "";
            }

            var (median, low, high) = contest.Ratio(first, second);
            return $"{median:0.00} ({low:0.00} .. {high:0.00})";
        }
    }

    private static OnnxTower Export(PyTorchPeer peer, torch.Tensor images, int threads)
    {
        var folder = Directory.CreateTempSubdirectory("regcache-onnx-");
        try
        {
            var file = Path.Combine(folder.FullName, "vit.onnx");
            peer.Run($"export {file}");
            return new(file, images, threads);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private sealed class OnnxTower : IDisposable
    {
        private readonly InferenceSession _session;
        private readonly OrtValue _images;
        private readonly RunOptions _options = new();

        public OnnxTower(string file, torch.Tensor images, int threads)
        {
            using var options = new SessionOptions { IntraOpNumThreads = threads };
            // Its threads may spin while it works, but not into the others' turns.
            options.AddSessionConfigEntry("session.force_spinning_stop", "1");
            _session = new(file, options);
            _images = OrtValue.CreateTensorValueFromMemory(images.data<float>().ToArray(), images.shape);
        }

        public double Run() => PairedTiming.Seconds(() => _session.Run(_options, ["images"], [_images], _session.OutputNames).Dispose());

        public void Dispose()
        {
            _images.Dispose();
            _options.Dispose();
            _session.Dispose();
        }
    }
}
