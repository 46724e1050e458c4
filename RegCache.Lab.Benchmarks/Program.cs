using System.Globalization;
using RegCache.Lab.Benchmarks;
using RegCache.Lab.Quantization;

CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
int Number(int position, int otherwise) =>
    args.Length > position && int.TryParse(args[position], out var value) ? value : otherwise;

switch (args.FirstOrDefault())
{
    case "operator":
        OperatorBenchmark.Run();
        return 0;
    case "products":
        ProductsBenchmark.Run(Number(1, 16), Number(2, 7), Number(3, Environment.ProcessorCount));
        return 0;
    case "encoder":
        EncoderBenchmark.Run(Number(1, 16), Number(2, 7), Number(3, Environment.ProcessorCount));
        return 0;
    case "resnet":
        ResNetBenchmark.Run(Number(1, 16), Number(2, 7), Number(3, Environment.ProcessorCount));
        return 0;
    case "integer":
        IntegerBenchmark.Run(Number(1, 16), Number(2, 5), Number(3, Environment.ProcessorCount));
        return 0;
    case "search":
        SearchBenchmark.Run(Number(1, 32), Number(2, 1));
        return 0;
    case "training":
        TrainingBenchmark.Run(Number(1, 7), Number(2, Environment.ProcessorCount), args.Contains("vit-b-32"));
        return 0;
    case "distributed":
        DistributedBenchmark.Run(Number(1, 20), Number(2, 5));
        return 0;
    case DistributedBenchmark.Child:
        DistributedBenchmark.Work(Number(1, 20), Number(2, 1));
        return 0;
    case "vit-training":
        VitTrainingBenchmark.Run(Number(1, 5), Number(2, Environment.ProcessorCount), Number(3, 256), Number(4, 32));
        return 0;
    case "preprocessing":
        PreprocessingBenchmark.Run(Console.Out, Number(1, 128), Number(2, 9));
        return 0;
    case "folder":
        FolderBenchmark.Run(Number(1, 2000), Number(2, 5));
        return 0;
    case "starve":
        StarveBenchmark.Run(Number(1, 96), Number(2, 3), Number(3, Environment.ProcessorCount), Number(4, 16));
        return 0;
    case "listing":
        ListingBenchmark.Run(Number(1, 100_000), Number(2, 5));
        return 0;
    case "merging":
        MergingBenchmark.Run(Number(1, 16), Number(2, 5), Number(3, Environment.ProcessorCount));
        return 0;
    case "retrieval":
        RetrievalBenchmark.Run(Number(1, 5), Number(2, Environment.ProcessorCount));
        return 0;
    case "memory":
        MemoryBenchmark.Run(Number(1, 16), Number(2, 5), Number(3, Environment.ProcessorCount));
        return 0;
    case "placement":
        PlacementBenchmark.Run(Number(1, 16), Number(2, 7), Number(3, Environment.ProcessorCount), Number(4, 16));
        return 0;
    case "distillation":
        DistillationBenchmark.Run(Number(1, 4), Number(2, 2), Number(3, Environment.ProcessorCount));
        return 0;
    case DistillationBenchmark.Child:
        DistillationBenchmark.Measure(args[1], Number(2, 4), Number(3, 2), Number(4, Environment.ProcessorCount));
        return 0;
    case "pooling-towers":
        PooledTowerBenchmark.Run(Number(1, 16), Number(2, 5), Number(3, Environment.ProcessorCount));
        return 0;
    case "pooled-clip":
        PooledClipBenchmark.Run(Number(1, 300), Number(2, 2), Number(3, Environment.ProcessorCount));
        return 0;
    case "pooling":
        PoolingBenchmark.Run(Number(1, 512), Number(2, 16), Number(3, 5), Number(4, Environment.ProcessorCount));
        return 0;
    case "calibration":
        CalibrationBenchmark.Run(Number(1, CalibrationImages.DefaultCount), args.Contains("whole"));
        return 0;
    default:
        Console.WriteLine("""
            operator                              time of calling one operator on 2x2 tensors
            products [IMAGES] [ROUNDS] [THREADS]  matrix products of ViT-B/16 by shape: libtorch, PyTorch, the kit's engine
            encoder [BATCH] [ROUNDS] [THREADS]    ViT-B/16 fp32 against PyTorch and ONNX Runtime
            resnet [BATCH] [ROUNDS] [THREADS]     CLIP's RN50 fp32 at 224 px against PyTorch
            integer [BATCH] [ROUNDS] [THREADS]    ViT-B/16 in 8-bit integers, float and bfloat16 on oneDNN, against PyTorch
            training [PAIRS] [THREADS] [vit-b-32] data generation, and training steps against PyTorch
            vit-training [PAIRS] [THREADS] [IMAGES] [BATCH]  a training step of a tiny ViT against PyTorch, augmentation against torchvision
            distributed [STEPS] [PAIRS]           the interface with one process, two processes against two threads, bytes sent
            calibration [IMAGES] [whole]          PTQ4ViT and RepQ-ViT against plain tensor operators by layer, sharing in a search
            search [IMAGES] [PAIRS]               grid search, plan tree against one plan at a time, and its peak memory
            preprocessing [IMAGES] [ROUNDS]       JPEGs of 500x375 to 224, one and two workers, against Pillow
            folder [IMAGES] [ROUNDS]              folder of JPEGs of 300 to 1200 pixels to 224, against torchvision with two workers
            starve [IMAGES] [ROUNDS] [THREADS] [BATCH]  image pipeline and ViT-B/16 alone and together
            listing [FILES] [ROUNDS]              listing, checking and drawing from a tree of small files, and the memory of its list
            retrieval [PAIRS] [THREADS]           ranks of 5 000 images and 25 000 captions, in blocks and from one matrix, and their memory
            memory [BATCH] [PAIRS] [THREADS]      memory layers against MLPs, the student against the encoder
            distillation [BATCH] [STEPS] [THREADS]  seconds and peak memory of a step, with checkpointing and cached features
            placement [BATCH] [PAIRS] [THREADS] [REGISTERS]  late tokens against early ones, and a PDF of attention maps
            pooling [LENGTH] [BATCH] [PAIRS] [THREADS]  dynamic pooling against a layer, pooled against plain training steps, and PyTorch's
            pooled-clip [STEPS] [SEEDS] [THREADS]  the demo model with pooling by several rules, finetuned: accuracy, retrieval, speed
            pooling-towers [BATCH] [PAIRS] [THREADS]  pooled image towers against plain ones, beside what multiply-accumulates predict
            merging [BATCH] [PAIRS] [THREADS]     cost of matching and merging, speed-up over r = 0 beside PyTorch's
            """);
        return args.Length == 0 ? 0 : 2;
}
