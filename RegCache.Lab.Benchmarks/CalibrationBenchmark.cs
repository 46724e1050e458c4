using System.Diagnostics;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Quantization.RepqVit;
using RegCache.Lab.Registers;
using TorchSharp;
using Tensor = TorchSharp.torch.Tensor;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// Calibration of an encoder of ViT-B/16 size against the same searches written plainly with tensor operators, by kind of
/// layer, on the activations of one block; and what sharing saves a search that calibrates for every setting.
/// </summary>
internal static class CalibrationBenchmark
{
    private const long Memory = 1L << 30;
    private const int Bits = 8;
    private const int SensitiveBlock = 7;

    private static readonly QuantizationBits _bits = new(Bits, Bits);

    /// <summary>Runs the measurements.</summary>
    /// <param name="images">Calibration images.</param>
    /// <param name="isWhole">Whether PTQ4ViT calibrates the whole encoder, too, instead of one block.</param>
    public static void Run(int images, bool isWhole)
    {
        torch.set_num_threads(Environment.ProcessorCount);
        using var model = RandomModel.VisionB16();
        using var classifier = new ZeroShotClassifier(torch.randn(model.Config.EmbedDim, 100));
        using var calibration = new CalibrationImages(torch.randn(images, 3, 224, 224), "random") { Memory = Memory };
        var layers = model.Vision.Blocks.Count;
        Console.WriteLine($"ViT-B/16 size, random weights, {images} images, {_bits}, {Environment.ProcessorCount} threads");

        CalibrationCost.PrintHead();
        List<CalibrationCost> searches = [], ranges = [];
        var (options, clock) = (new Ptq4VitOptions(_bits), Stopwatch.StartNew());
        using (var recording = new FloatRecording(model.Vision, classifier, calibration, options, EncoderPlan.Plain(layers)))
        {
            // Recording a block costs the same everywhere, searching nearly so: one block in the middle stands for all.
            recording.VisitBlocks((block, recorder) =>
            {
                if (block != layers / 2)
                {
                    return;
                }

                clock.Stop();
                Measure(recorder, model.Vision.Blocks[block], options, searches, ranges);
                clock.Start();
            });
            var recorded = clock.Elapsed.TotalSeconds;
            using var scope = torch.NewDisposeScope();
            var patches = recording.Patches();
            searches.Add(CalibrationCost.Measure(
                "visual.conv1", 1, () => new LayerSearch(options, Memory).Patches(patches, "conv1").Indices, () => new PlainPtq4Vit(options).Patches(patches)));
            searches.Add(new CalibrationCost("float passes, gradients", 1, recorded, recorded, true).Printed());
        }

        CalibrationCost.PrintSum("PTQ4ViT", searches, layers);
        if (isWhole)
        {
            var seconds = PairedTiming.Seconds(() => new Ptq4VitCalibrator(model.Vision, classifier, calibration, options).Calibrate(EncoderPlan.Plain(layers)));
            Console.WriteLine($"  the whole encoder, measured: {seconds / 60:0.0} minutes");
        }

        using (torch.no_grad())
        {
            // Both sides run the images through; the published code does so twice.
            var pass = PairedTiming.Seconds(() => model.Vision.Encode(calibration.All).Dispose());
            ranges.Add(new CalibrationCost("passes of the images", 1, pass, 2 * pass, true).Printed());
        }

        CalibrationCost.PrintSum("RepQ-ViT", ranges, layers);
        Sharing(model, calibration);
    }

    private static void Measure(
        BlockRecorder recorder, BlockLayers layers, Ptq4VitOptions options, List<CalibrationCost> searches, List<CalibrationCost> ranges)
    {
        using var noGradient = torch.no_grad();
        var (search, plain) = (new LayerSearch(options, Memory), new PlainPtq4Vit(options));
        foreach (var kind in LinearKinds.All)
        {
            using var scope = torch.NewDisposeScope();
            var product = recorder.Linear(kind, Layer(layers, kind));
            var (groups, isTwin, behindNorm) = (
                kind == LinearKind.AttentionIn ? 3 : 1, kind == LinearKind.MlpOut, kind is LinearKind.AttentionIn or LinearKind.MlpIn);
            searches.Add(CalibrationCost.Measure(
                kind.Name(),
                12,
                () => search.Linear(product, groups, isTwin, kind.Name()) is var found ? [.. found.RightIndices, found.LeftIndex] : [],
                () => plain.Linear(product, groups, isTwin)));
            var (input, weight) = (product.Left, product.Right[0]);
            var rows = behindNorm ? input.flatten(0, 1).t().contiguous() : input.reshape(1, -1);
            ranges.Add(CalibrationCost.Measure(
                $"{kind.Name()} input",
                12,
                () => Scales(behindNorm ? PercentileRange.OfChannels(input, Bits, kind.Name()) : PercentileRange.OfTensor(input, Bits, kind.Name())),
                () => PlainRepqVit.OfRows(rows, Bits)));
            // Behind a LayerNorm the weights get grids twice, on both sides.
            ranges.Add(CalibrationCost.Measure(
                $"{kind.Name()} weights", behindNorm ? 24 : 12, () => Scales(PercentileRange.OfWeights(weight, Bits)), () => PlainRepqVit.OfRows(weight, Bits)));
        }

        using (torch.NewDisposeScope())
        {
            var product = recorder.Product("attn.qk");
            searches.Add(CalibrationCost.Measure("attn.qk", 12, () => Heads(search, product, null), () => plain.Heads(product)));
            foreach (var (name, operand) in new[] { ("queries", product.Left), ("keys", product.Right) })
            {
                ranges.Add(Operand(name, operand));
            }
        }

        using (torch.NewDisposeScope())
        {
            var product = recorder.Product("attn.av");
            searches.Add(CalibrationCost.Measure(
                "attn.av",
                12,
                () =>
                {
                    var split = search.Split(product.AllHeads(), SoftmaxTwin.Released, "attn.av");
                    return [-Math.ILogB(split.Split), .. Heads(search, product, split)];
                },
                () => plain.Mixing(product)));
            ranges.Add(Operand("values", product.Right));
            ranges.Add(CalibrationCost.Measure(
                "probabilities",
                12,
                () => [PercentileRange.OfProbabilities(product.Left, Bits, "probabilities").Scale],
                () => [PlainRepqVit.OfProbabilities(product.Left, Bits)]));
        }
    }

    private static CalibrationCost Operand(string name, Tensor values) => CalibrationCost.Measure(
        name, 12, () => Scales(PercentileRange.OfTensor(values, Bits, name)), () => PlainRepqVit.OfRows(values.reshape(1, -1), Bits));

    private static int[] Heads(LayerSearch search, RecordedProduct product, ITensorQuantizer? left)
    {
        var found = Enumerable.Range(0, (int)product.Left.shape[1])
            .Select(head => search.Head(product.Head(head), (1, 0), left, "attention")).ToArray();
        return [.. left is null ? found.Select(head => head.LeftIndex) : [], .. found.Select(head => head.RightIndex)];
    }

    private static float[] Scales(UniformQuantizer grid) => grid.Scale.flatten().data<float>().ToArray();

    private static ILinear Layer(BlockLayers layers, LinearKind kind) => kind switch
    {
        LinearKind.AttentionIn => layers.AttentionIn,
        LinearKind.AttentionOut => layers.AttentionOut,
        LinearKind.MlpIn => ((FeedForward)layers.Mlp).In,
        _ => ((FeedForward)layers.Mlp).Out,
    };

    // A search that calibrates RepQ-ViT for every setting: with the shared blocks kept, and from the beginning every time.
    private static void Sharing(ClipModel model, CalibrationImages images)
    {
        var tower = model.Vision;
        var layers = tower.Blocks.Count;
        var blocks = CandidateExtraction.Blocks(SensitiveBlock);
        Tensor Row() => torch.randn(tower.Config.Width);
        var prefixes = blocks.ToDictionary(block => block, block => new RegisterPrefix(
            $"t{block}", Enumerable.Range(0, layers).ToDictionary(layer => layer, _ => (Row(), Row()))));
        EncoderPlan[] Plans(int maxPrefix, Func<RegCacheSetting, bool> isWanted) =>
        [
            .. RegisterSearch.Settings(blocks, SensitiveBlock, maxPrefix, new()).Where(isWanted)
                .Select(setting => setting.ApplyTo(EncoderPlan.Plain(layers), prefixes[setting.ExtractionBlock])),
        ];

        var plans = Plans(1, setting => setting is { PrefixCount: 1, DeleteCount: 0 or 3 });
        using var sharing = new RepqVitCalibrator(tower, images, _bits);
        var shared = PairedTiming.Seconds(() => Array.ForEach(plans, plan => sharing.Calibrate(plan)));
        var alone = PairedTiming.Seconds(() => Array.ForEach(plans, plan =>
        {
            using var calibration = new RepqVitCalibrator(tower, images, _bits);
            calibration.Calibrate(plan);
        }));
        Console.WriteLine($"RepQ-ViT for every setting of a search, k = {SensitiveBlock}, {plans.Length} settings");
        Console.WriteLine($"  block calibrations: {sharing.BlockCalibrations} with sharing, {plans.Length * layers} without");
        Console.WriteLine($"  seconds: {shared:0.0} with sharing, {alone:0.0} without, ratio {alone / shared:0.00}");
        var whole = Plans(new RegCacheOptions().MaxPrefix, _ => true);
        var calibrated = layers + whole.Zip(whole.Skip(1), (before, after) => layers - Enumerable.Range(0, layers).TakeWhile(
            block => before.Blocks[block] == after.Blocks[block]).Count()).Sum();
        Console.WriteLine($"  the whole grid, {whole.Length} settings: {calibrated} block calibrations with sharing, {whole.Length * layers} without");
    }
}
