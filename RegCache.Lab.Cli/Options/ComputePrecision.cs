namespace RegCache.Lab.Cli.Options;

/// <summary>The number format of the float computation.</summary>
internal enum ComputePrecision
{
    /// <summary>32-bit floating point.</summary>
    Fp32,

    /// <summary>bfloat16, where the device has it; token decisions stay in fp32.</summary>
    Bf16,
}
