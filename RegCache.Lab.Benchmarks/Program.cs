using System.Globalization;
using RegCache.Lab.Benchmarks;

CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
int Number(int position, int otherwise) =>
    args.Length > position && int.TryParse(args[position], out var value) ? value : otherwise;

switch (args.FirstOrDefault())
{
    case "operator":
        OperatorBenchmark.Run();
        return 0;
    case "encoder":
        EncoderBenchmark.Run(Number(1, 16), Number(2, 7), Number(3, Environment.ProcessorCount));
        return 0;
    case "search":
        SearchBenchmark.Run(Number(1, 32), Number(2, 3));
        return 0;
    case "training":
        TrainingBenchmark.Run(Number(1, 7), Number(2, Environment.ProcessorCount), args.Contains("vit-b-32"));
        return 0;
    default:
        Console.WriteLine("""
            operator                              time of calling one operator on 2x2 tensors
            encoder [BATCH] [PAIRS] [THREADS]     ViT-B/16 fp32 against PyTorch
            training [PAIRS] [THREADS] [vit-b-32] data generation, and training steps against PyTorch
            search [IMAGES] [PAIRS]               grid search, plan tree against one plan at a time, and its peak memory
            """);
        return args.Length == 0 ? 0 : 2;
}
