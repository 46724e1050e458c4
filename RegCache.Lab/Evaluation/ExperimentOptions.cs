using System.Diagnostics;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Placement;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Integer;

namespace RegCache.Lab.Evaluation;

/// <summary>What an <see cref="Experiment"/> is opened on, and how it runs.</summary>
public sealed record ExperimentOptions
{
    /// <summary>A model folder or a weight file, of a CLIP model or a plain ViT classifier; null: the demo model that comes with the kit.</summary>
    public string? Model { get; init; }

    /// <summary>Configuration file or name (ViT-B-16, ...); null: the one beside the weights, else the tensors' shapes.</summary>
    public string? ModelConfig { get; init; }

    /// <summary>Tag of the weights ("openai", "laion2b", ...), by which quick GELU is chosen where they need it.</summary>
    public string Pretrained { get; init; } = "local";

    /// <summary>Keep the activation that the configuration names, even where the weights need another.</summary>
    public bool LiteralActivation { get; init; }

    /// <summary>A model whose text tower, logit scale and tokenizer are taken where <see cref="Model"/> has none of its own; null: none is.</summary>
    public BaseModel? Base { get; init; }

    /// <summary>File of a ready classifier: a tensor <c>classifier</c> [E,K]; null: made from prompts.</summary>
    public string? Classifier { get; init; }

    /// <summary>File of class names and prompt templates; null: the class folders' names, or those of the generated pictures.</summary>
    public string? Prompts { get; init; }

    /// <summary>Attention heads of the vision tower, where no configuration tells them; null: as published models of its shapes have.</summary>
    public int? Heads { get; init; }

    /// <summary>Where the model's tensors are in a checkpoint of several models, such as "model_ema"; null: wherever the only model is.</summary>
    public string? WeightsKey { get; init; }

    /// <summary>
    /// How images become the input of a ViT classifier, by its size [height, width]; null: as timm's plain ViTs want them, and DeiT's way where
    /// tokens enter late.
    /// </summary>
    public Func<(int Height, int Width), PreprocessOptions>? VitPreprocess { get; init; }

    /// <summary>What the file of a classifier with late tokens does not tell; null: nothing.</summary>
    public PlacementLoadOptions? LateTokens { get; init; }

    /// <summary>
    /// Images that every choice is made on (TRAIN_SAMPLE), as <see cref="ImageSetFormats"/> names sets; null: the same as <see cref="ValidationImages"/>,
    /// and generated pictures where that is null, too.
    /// </summary>
    public string? SearchImages { get; init; }

    /// <summary>Images of the final numbers (IMAGENET_VAL), as <see cref="ImageSetFormats"/> names sets; null: the same as <see cref="SearchImages"/>.</summary>
    public string? ValidationImages { get; init; }

    /// <summary>What named <see cref="ValidationImages"/>, for messages and records; null: an option of the command's own.</summary>
    public DataVariable? ValidationVariable { get; init; } = DataVariable.ImageNetValidation;

    /// <summary>Names the set of images that ranges are calibrated on (CALIB), when they are needed; null: the search images.</summary>
    public Func<string>? CalibrationImages { get; init; }

    /// <summary>Most search images, spread over the set; null: all, or the usual number of generated ones.</summary>
    public int? SearchCount { get; init; }

    /// <summary>Most validation images, spread over the set; null: all, or the usual number of generated ones.</summary>
    public int? ValidationCount { get; init; }

    /// <summary>
    /// Open the model alone, without search and validation images. Prompts and classifiers may then have any classes, and
    /// <see cref="CalibrationImages"/> is needed by quantizers that calibrate.
    /// </summary>
    public bool WithoutImages { get; init; }

    /// <summary>The order of the images, which decides what shares a batch.</summary>
    public ImageOrder Order { get; init; } = ImageOrder.Class;

    /// <summary>Leave unreadable images out instead of refusing them.</summary>
    public bool SkipBadImages { get; init; }

    /// <summary>Which image files are taken besides those that are whole and of a usual size.</summary>
    public DecodingOptions Decoding { get; init; } = DecodingOptions.Default;

    /// <summary>Seed of the generated pictures.</summary>
    public long ShapesSeed { get; init; }

    /// <summary>The family of quantizers.</summary>
    public QuantizerFamily Quantizer { get; init; } = NaiveFamily.Entry;

    /// <summary>What is set about the families that are used, and how many images they calibrate on.</summary>
    public MethodValues QuantizerValues { get; init; } = MethodValues.None;

    /// <summary>Where to compute.</summary>
    public ComputeDevice Device { get; init; } = ComputeDevice.Cpu;

    /// <summary>Images in a batch. Ranges that are taken from batches, and with them results, depend on it.</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Threads of the process; null leaves them as they are.</summary>
    public int? Threads { get; init; }

    /// <summary>The seed of everything random.</summary>
    public long Seed { get; init; }

    /// <summary>The number format of the float computation.</summary>
    public ComputePrecision Precision { get; init; } = ComputePrecision.Fp32;

    /// <summary>How quantized layers run: integers where the machine has them, else simulated. On a GPU tensor operators run.</summary>
    public ExecutionMode Execution { get; init; } = ExecutionMode.Simulated;

    /// <summary>Run tensor operators on the CPU, too, to compare them with <see cref="OneDnnBackend"/>.</summary>
    public bool OnTensorOperators { get; init; }

    /// <summary>The folder of the results; null: <see cref="DefaultRunDirectory"/>.</summary>
    public string? RunDirectory { get; init; }

    /// <summary>The folder of the results by the model's name; null: nothing is kept.</summary>
    public Func<string, string>? DefaultRunDirectory { get; init; }

    /// <summary>Least time between two checkpoints of a pass; null: the usual one.</summary>
    public TimeSpan? CheckpointInterval { get; init; }

    /// <summary>Ignore what the run directory holds.</summary>
    public bool Force { get; init; }
}

/// <summary>Where tensors live and operators run.</summary>
public enum ComputeDevice
{
    /// <summary>The processor.</summary>
    Cpu,

    /// <summary>The first CUDA device; of several processes on a machine each takes the one of its number.</summary>
    Cuda,
}

/// <summary>The number format of the float computation.</summary>
public enum ComputePrecision
{
    /// <summary>32-bit floating point.</summary>
    Fp32,

    /// <summary>bfloat16, where the device has it; token decisions stay in fp32.</summary>
    Bf16,
}

/// <summary>What there is on this machine of what can be asked for.</summary>
public static class ComputeDevices
{
    /// <summary>The device.</summary>
    /// <exception cref="UserException">This machine or this libtorch has no CUDA device.</exception>
    public static torch.Device Find(this ComputeDevice device) => device switch
    {
        ComputeDevice.Cpu => torch.CPU,
        ComputeDevice.Cuda when torch.cuda.is_available() => Processes.TakeGpu(),
        ComputeDevice.Cuda => throw new UserException(
            "--device cuda: this libtorch sees no CUDA device; `regcache doctor` tells which libtorch is used, and README.md, \"GPU\", how to have one with CUDA."),
        _ => throw new UnreachableException(),
    };
}
