using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Quantization.Integer;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// Whether images are there when the encoder needs them: images a second of the pipeline alone (JPEG files of 300 to 1200 pixels to
/// 224 x 224), of ViT-B/16 alone (engine, fp32, random weights), and of the encoder on the images that the pipeline makes meanwhile.
/// </summary>
internal static class StarveBenchmark
{
    private const string Pipeline = "pipeline alone", Encoder = "ViT-B/16 alone", Both = "both together";

    /// <summary>Measures and prints a table.</summary>
    /// <param name="images">Images a turn.</param>
    /// <param name="rounds">Turns of each, in turn.</param>
    /// <param name="threads">Threads of the encoder, and workers of the pipeline.</param>
    /// <param name="batchSize">Images a batch.</param>
    public static void Run(int images, int rounds, int threads, int batchSize)
    {
        torch.set_num_threads(threads);
        var config = ClipConfigs.Get("ViT-B-16") with { Text = null };
        using var folder = PictureFolder.Make(images);
        using var set = ClassFolderDataset.OpenClasses(folder.Path);
        var source = new ImageSetSource(set, new(new PreprocessOptions(config.Vision.ImageSize.Height)), options: new() { Workers = threads });
        using var model = RandomModel.Create(config, new OneDnnBackend(ExecutionMode.Simulated));
        using var noGradient = torch.inference_mode();
        // The same work without reading: batches of the same sizes.
        torch.Tensor[] ready = [.. source.ReadBatches(batchSize).Select(batch => batch.Images.clone())];
        var contest = new RoundRobin();
        contest.Add(Pipeline, () => PairedTiming.Seconds(() => ForEachBatch(_ => { })));
        contest.Add(Encoder, () => PairedTiming.Seconds(() => Array.ForEach(ready, Encode)));
        contest.Add(Both, () => PairedTiming.Seconds(() => ForEachBatch(Encode)));
        contest.Run(rounds);
        Array.ForEach(ready, batch => batch.Dispose());

        Console.WriteLine($"{folder}, batch {batchSize}, {threads} threads, {rounds} rounds in turn");
        foreach (var name in contest.Names)
        {
            Console.WriteLine($"  {name,-16} {images / contest.Median(name),8:0.00} images/s");
        }

        var slower = contest.Median(Pipeline) > contest.Median(Encoder) ? Pipeline : Encoder;
        var (median, low, high) = contest.Ratio(Both, slower);
        Console.WriteLine($"  together / {slower}: {100 * median:0.0} % ({100 * low:0.0} .. {100 * high:0.0}); aim: 90 %");

        void Encode(torch.Tensor batch) => model.Vision.Encode(batch).Dispose();

        void ForEachBatch(Action<torch.Tensor> use)
        {
            foreach (var batch in source.ReadBatches(batchSize))
            {
                using (batch)
                {
                    use(batch.Images);
                }
            }
        }
    }
}
