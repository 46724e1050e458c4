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
    case "merging":
        MergingBenchmark.Run(Number(1, 16), Number(2, 5), Number(3, Environment.ProcessorCount));
        return 0;
    default:
        Console.WriteLine("""
            operator                              time of calling one operator on 2x2 tensors
            encoder [BATCH] [PAIRS] [THREADS]     ViT-B/16 fp32 against PyTorch
            merging [BATCH] [PAIRS] [THREADS]     share of a block's time that merging costs, and what it gains against its MACs
            search [IMAGES] [PAIRS]               grid search, plan tree against one plan at a time, and its peak memory
            """);
        return args.Length == 0 ? 0 : 2;
}
