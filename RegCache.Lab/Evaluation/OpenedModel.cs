using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Placement;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Evaluation;

/// <summary>The model of an <see cref="Experiment"/>: a CLIP model, or a plain ViT classifier in the form of one.</summary>
/// <param name="Model">The model.</param>
/// <param name="Clip">The CLIP model with the files beside its weights; null for a ViT classifier.</param>
/// <param name="Backend">How its layers run; null: by tensor operators.</param>
/// <param name="Name">Its name, for files and tables.</param>
/// <param name="Hash">SHA-256 of the weight file.</param>
/// <param name="Preprocess">How images become its input.</param>
/// <param name="Key">Identifies weights, architecture, preprocessing, precision and device.</param>
/// <param name="Assumptions">What neither the weights nor a configuration told and was assumed, one sentence each.</param>
internal sealed record OpenedModel(
    ClipModel Model,
    LoadedClip? Clip,
    OneDnnBackend? Backend,
    string Name,
    string Hash,
    PreprocessOptions Preprocess,
    string Key,
    IReadOnlyList<string> Assumptions)
{
    /// <summary>Loads the model that options name, to where and as they say.</summary>
    /// <param name="options">What to open, and how it runs.</param>
    /// <param name="progress">Told when integers are not to be had.</param>
    /// <exception cref="UserException">The model cannot be loaded, or the device or the execution is not to be had.</exception>
    public static OpenedModel Load(ExperimentOptions options, IWorkProgress progress)
    {
        var backend = ChooseBackend(options, progress);
        var path = options.Model ?? ModelFolder.FindDemo();
        var device = options.Device.Find();
        var type = options.Precision == ComputePrecision.Bf16 ? torch.ScalarType.BFloat16 : torch.ScalarType.Float32;
        var computes = $"{options.Precision}-{options.Device}";
        var assumptions = new List<string>();
        if (PlacementCheckpoint.Recognises(path))
        {
            var late = DynamicVit.Load(path, (options.LateTokens ?? new()) with
            {
                Heads = options.Heads,
                WeightsKey = options.WeightsKey,
                Assumptions = assumptions,
                Device = device,
                Type = type,
                Backend = backend,
            });
            return OfVit(late.Model, PlacementCheckpoint.WeightsOf(path), PlacementCheckpoint.NameOf(path), size => EvaluationTransform.Of(size));
        }

        if (File.Exists(path) && VitClassifierLoader.Recognises(path))
        {
            var vit = VitClassifierLoader.Load(path, new()
            {
                Heads = options.Heads,
                WeightsKey = options.WeightsKey,
                Assumptions = assumptions,
                Device = device,
                Type = type,
                Backend = backend,
            });
            return OfVit(vit, path, Path.GetFileNameWithoutExtension(path), TimmPreprocess);
        }

        var clip = LoadedClip.Load(path, new()
        {
            Config = options.ModelConfig,
            Pretrained = options.Pretrained,
            Heads = options.Heads,
            WeightsKey = options.WeightsKey,
            LiteralActivation = options.LiteralActivation,
            Base = options.Base,
            Device = device,
            Type = type,
            Backend = backend,
        });
        return new(clip.Model, clip, backend, clip.Name, clip.Hash, clip.Preprocess, $"{clip.Identity}-{computes}", clip.Assumptions);

        OpenedModel OfVit(ClipModel vit, string weights, string name, Func<(int Height, int Width), PreprocessOptions> usual)
        {
            var (hash, preprocess) = (ContentHash.OfFile(weights), (options.VitPreprocess ?? usual)(vit.Config.Vision.ImageSize));
            return new(
                vit, null, backend, name, hash, preprocess,
                $"{hash}-{ContentHash.OfValue(new { vit = vit.Config.ToString(), pixels = preprocess.ToString(), options.WeightsKey })}-{computes}", assumptions);
        }
    }

    private static PreprocessOptions TimmPreprocess((int Height, int Width) size) =>
        new(size.Height, size.Width) { Mean = RgbValues.All(0.5f), StandardDeviation = RgbValues.All(0.5f), CropRatio = 0.9 };

    // Integers run on the CPU between float32 values only.
    private static OneDnnBackend? ChooseBackend(ExperimentOptions options, IWorkProgress progress)
    {
        if (options.Execution == ExecutionMode.Integer && options is not { Device: ComputeDevice.Cpu, Precision: ComputePrecision.Fp32 })
        {
            throw new UserException("--execution integer runs on the CPU between float32 values; leave out --device and --precision.");
        }

        if (options.Device != ComputeDevice.Cpu || options.OnTensorOperators)
        {
            return null;
        }

        if (options.Execution == ExecutionMode.Integer && OneDnn.Support.IntegerProblem is { } problem)
        {
            progress.Message($"Quantized layers are simulated: {problem}.");
            return new(ExecutionMode.Simulated);
        }

        return new(options.Execution);
    }
}
