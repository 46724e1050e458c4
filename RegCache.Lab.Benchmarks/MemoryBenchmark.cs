using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Memory;
using RegCache.Lab.Quantization.Integer;
using TorchSharp;
using Tensor = TorchSharp.torch.Tensor;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// Memory layers of the fork's sizes at ViT-B/16: the student against the plain encoder, the layer against the MLP that it replaces and
/// against itself written plainly.
/// </summary>
internal static class MemoryBenchmark
{
    /// <summary>Runs the measurements.</summary>
    public static void Run(int batch, int pairs, int threads)
    {
        torch.set_num_threads(threads);
        var config = ClipConfigs.Get("ViT-B-16") with { Text = null };
        using var plain = RandomModel.Create(config);
        using var student = MemoryStudent.Of(plain, new() { Blocks = MemoryConfig.EverySecondBlock(12) }, MemoryStart.Proper, seed: 0);
        Console.WriteLine($"ViT-B/16 size, random weights, batch {batch}, {threads} threads, {pairs} pairs");
        var images = torch.randn(batch, 3, 224, 224);
        Encoders("tensor operators", plain, student, images, pairs);
        using var packedPlain = Packed(plain);
        using var packedStudent = Packed(student);
        Encoders("oneDNN", packedPlain, packedStudent, images, pairs);
        Layer(plain, student, batch, pairs);
    }

    private static void Encoders(string title, ClipModel plain, ClipModel student, Tensor images, int pairs)
    {
        double Seconds(ClipModel model) => PairedTiming.Seconds(() =>
        {
            using var noGradient = torch.no_grad();
            model.Vision.Encode(images).Dispose();
        });
        var plan = EncoderPlan.Plain(12);
        var expected = MacsTable.Of(plain.Config.Vision, 512, plan).Total / (double)MacsTable.Of(student.Config.Vision, 512, plan).Total;
        var timing = PairedTiming.Measure(pairs, () => Seconds(student), () => Seconds(plain));
        Console.WriteLine($"  encoder, {title}: student {timing.FirstMedian * 1000:0} ms, plain {timing.SecondMedian * 1000:0} ms");
        Print("plain / student", timing);
        Console.WriteLine($"    by multiply-accumulates {expected:0.000}; {timing.Ratio / expected:0.000} of it");
    }

    private static void Layer(ClipModel plain, ClipModel student, int batch, int pairs)
    {
        var (mlp, memory) = (plain.Vision.Blocks[2].Mlp, (MemoryLayer)student.Vision.Blocks[2].Mlp);
        var tokens = torch.randn(batch, 197, 768);
        using (torch.no_grad())
        {
            double Forward(Func<Tensor, Tensor> layer) => PairedTiming.Seconds(() => layer(tokens).Dispose());
            Print("layer forward, MLP / memory", PairedTiming.Measure(pairs, () => Forward(x => memory.Apply(x, default)), () => Forward(x => mlp.Apply(x, default))));
            Print("layer forward, plain memory / memory", PairedTiming.Measure(pairs, () => Forward(x => memory.Apply(x, default)), () => Forward(x => Plain(memory, x))));
        }

        foreach (var (_, tensor) in plain.Weights.Parameters.Concat(student.Weights.Parameters))
        {
            tensor.requires_grad = true;
        }

        var input = tokens.requires_grad_();
        double Both(Func<Tensor, Tensor> layer) => PairedTiming.Seconds(() =>
        {
            using var scope = torch.NewDisposeScope();
            input.grad = null;
            layer(input).sum().backward();
        });
        Print("layer forward and backward, MLP / memory", PairedTiming.Measure(pairs, () => Both(x => memory.Apply(x, default)), () => Both(x => mlp.Apply(x, default))));
        Print("layer forward and backward, plain memory / memory", PairedTiming.Measure(pairs, () => Both(x => memory.Apply(x, default)), () => Both(x => Plain(memory, x))));
    }

    // The layer as its equations read: gathered rows, and a product with their weights.
    private static Tensor Plain(MemoryLayer layer, Tensor input) => TensorScope.Run(() =>
    {
        var (config, rows) = (layer.Config, input.reshape(-1, input.shape[^1]));
        var parts = ((JoinedLinear)layer.In).Parts;
        var query = parts[0].Apply(rows).view(-1, config.Heads, 2, config.KeyWidth / 2);
        var keys = layer.Keys.view(config.Heads, 2, config.SubKeys, -1);
        var (first, firstIndex) = torch.einsum("mhd,hnd->mhn", query.select(2, 0), keys.select(1, 0)).topk(config.Neighbours);
        var (second, secondIndex) = torch.einsum("mhd,hnd->mhn", query.select(2, 1), keys.select(1, 1)).topk(config.Neighbours);
        var scores = (first.unsqueeze(-1) + second.unsqueeze(-2)).flatten(2);
        var slots = ((firstIndex * config.SubKeys).unsqueeze(-1) + secondIndex.unsqueeze(-2)).flatten(2);
        var (best, place) = scores.topk(config.Neighbours);
        var chosen = slots.gather(-1, place).flatten(1);
        var weights = best.softmax(-1).flatten(1);
        var gathered = layer.Table.Tensors[0].index_select(0, chosen.flatten()).view(-1, config.Reads, config.ValueWidth);
        var read = torch.einsum("mr,mrv->mv", weights, gathered);
        return layer.Out!.Apply(read * torch.nn.functional.silu(parts[1].Apply(rows))).view(input.shape);
    });

    private static ClipModel Packed(ClipModel model) => new(
        model.Config,
        new WeightTable("copy", model.Weights.Names.Select(name => KeyValuePair.Create(name, model.Weights[name].clone()))),
        new OneDnnBackend(ExecutionMode.Simulated));

    private static void Print(string title, PairedTiming timing) => Console.WriteLine(
        $"    {title,-50} {timing.Ratio:0.00} ({timing.RatioRange.Low:0.00} .. {timing.RatioRange.High:0.00}), {timing.FirstMedian * 1000:0.0} ms and {timing.SecondMedian * 1000:0.0} ms");
}
