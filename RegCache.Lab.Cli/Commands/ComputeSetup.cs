using RegCache.Lab.Cli.Options;
using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization.Integer;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Threads, seed, device and number format of a command.</summary>
internal static class ComputeSetup
{
    /// <summary>Sets threads and seed.</summary>
    public static void Apply(RunSettings run)
    {
        torch.set_num_threads(run.Threads ?? Environment.ProcessorCount);
        torch.manual_seed(run.Seed);
    }

    /// <summary>Where and in which format a model is loaded.</summary>
    /// <exception cref="UserException">The device is missing, or cannot compute in that format.</exception>
    public static ClipLoadOptions LoadOptions(RunSettings run, ModelSettings model) => new()
    {
        Config = model.Config,
        Pretrained = model.Pretrained,
        LiteralActivation = model.LiteralActivation,
        Heads = model.Heads,
        WeightsKey = model.WeightsKey,
        Device = Device(run.Device),
        Type = run.Precision == ComputePrecision.Bf16 ? torch.ScalarType.BFloat16 : torch.ScalarType.Float32,
        Backend = run.Device == ComputeDevice.Cpu ? new OneDnnBackend(ExecutionMode.Simulated) : null,
    };

    /// <summary>The device of that name.</summary>
    /// <exception cref="UserException">This machine or this libtorch has no CUDA device.</exception>
    public static torch.Device Device(ComputeDevice device)
    {
        if (device == ComputeDevice.Cpu)
        {
            return torch.CPU;
        }

        return torch.cuda.is_available()
            ? torch.CUDA
            : throw new UserException(
                "--device cuda: this libtorch sees no CUDA device; `regcache doctor` tells which libtorch is used, and README.md, \"GPU\", how to have one with CUDA.");
    }
}
