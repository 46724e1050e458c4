using System.Globalization;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Quantization.Integer;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// The matrix products of one block of ViT-B/16, one by one: libtorch 2.10 with MKL (this program), PyTorch with the BLAS of its installation, and,
/// for the linear layers, the kit's engine on oneDNN.
/// </summary>
internal static class ProductsBenchmark
{
    private const string Libtorch = "libtorch", PyTorch = "PyTorch", Engine = "engine";

    /// <summary>Batch 0: a linear layer, else a batch of products.</summary>
    private sealed record Product(string Name, long Batch, long Rows, long Inner, long Columns);

    public static void Run(int images, int rounds, int threads)
    {
        torch.set_num_threads(threads);
        var vision = ClipConfigs.Get("ViT-B-16").Vision;
        var (tokens, width, hidden, heads) = (vision.Patches + 1L, (long)vision.Width, 4L * vision.Width, (long)images * vision.Heads);
        var head = width * images / heads;
        Product[] products =
        [
            new("queries, keys, values", 0, images * tokens, width, 3 * width),
            new("output", 0, images * tokens, width, width),
            new("MLP, first", 0, images * tokens, width, hidden),
            new("MLP, second", 0, images * tokens, hidden, width),
            new("queries x keys", heads, tokens, head, tokens),
            new("probabilities x values", heads, tokens, tokens, head),
        ];
        using var peer = PyTorchPeer.Start("products.py", new { threads });
        using var noGradient = torch.inference_mode();
        Console.WriteLine($"Products of one block of ViT-B/16, {images} images, {threads} threads, {rounds} rounds; milliseconds");
        Console.WriteLine($"  {"",-24} {Libtorch,9} {PyTorch,9} {Engine,9}   libtorch / PyTorch   engine / PyTorch");
        foreach (var product in products)
        {
            Measure(product, rounds, peer);
        }
    }

    private static void Measure(Product product, int rounds, PyTorchPeer? peer)
    {
        const int Repeats = 4;
        using var scope = torch.NewDisposeScope();
        var (batch, rows, inner, columns) = (product.Batch, product.Rows, product.Inner, product.Columns);
        var contest = new RoundRobin();
        if (batch == 0)
        {
            var (input, weight, bias) = (torch.randn(rows, inner), torch.randn(columns, inner), torch.randn(columns));
            var layer = OneDnn.Support.FloatProblem is null ? new PackedLinear(product.Name, new(weight, bias)) : null;
            contest.Add(Libtorch, () => Seconds(() => torch.nn.functional.linear(input, weight, bias)));
            if (layer is not null)
            {
                contest.Add(Engine, () => Seconds(() => layer.Apply(input)));
            }
        }
        else
        {
            var (first, second) = (torch.randn(batch, rows, inner), torch.randn(batch, inner, columns));
            contest.Add(Libtorch, () => Seconds(() => first.bmm(second)));
        }

        if (peer is not null)
        {
            contest.Add(PyTorch, () => peer.Run(string.Create(CultureInfo.InvariantCulture, $"{batch} {rows} {inner} {columns} {Repeats}")));
        }

        contest.Run(rounds);
        string Time(string name) => contest.Has(name) ? $"{1000 * contest.Median(name) / Repeats:0.00}" : "";
        string Against(string name)
        {
            if (!contest.Has(name) || peer is null)
            {
                return "";
            }

            var (median, low, high) = contest.Ratio(PyTorch, name);
            return $"{median:0.00} ({low:0.00} .. {high:0.00})";
        }

        Console.WriteLine($"  {product.Name,-24} {Time(Libtorch),9} {Time(PyTorch),9} {Time(Engine),9}   {Against(Libtorch),-18}   {Against(Engine)}");

        static double Seconds(Func<torch.Tensor> run) => PairedTiming.Seconds(() =>
        {
            for (var repeat = 0; repeat < Repeats; repeat++)
            {
                run().Dispose();
            }
        });
    }
}
