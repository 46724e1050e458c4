namespace RegCache.Lab.Cli.Options;

/// <summary>Where tensors live and operators run.</summary>
internal enum ComputeDevice
{
    /// <summary>The processor.</summary>
    Cpu,

    /// <summary>The first CUDA device.</summary>
    Cuda,
}
