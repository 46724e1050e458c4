using RegCache.Lab.Cli.Options;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Commands;

/// <summary>How the layers of a run are carried out.</summary>
internal static class ExecutionSetup
{
    private static readonly QuantizationBits _eight = new(8, 8);

    /// <summary>Chooses the execution; null on a GPU, where the tensor operators run.</summary>
    /// <param name="asked">What the user asks for.</param>
    /// <param name="run">Device and precision.</param>
    /// <param name="bits">Bit-widths of the run.</param>
    /// <param name="progress">Told when integers are not to be had.</param>
    /// <exception cref="UserException">Integers are asked for where they do not run.</exception>
    public static OneDnnBackend? Choose(ExecutionMode? asked, RunSettings run, QuantizationBits bits, IWorkProgress progress)
    {
        if (run.Device != ComputeDevice.Cpu || run.Precision != ComputePrecision.Fp32)
        {
            return asked == ExecutionMode.Integer
                ? throw new UserException("--execution integer runs on the CPU between float32 values; leave out --device and --precision.")
                : run.Device == ComputeDevice.Cpu ? new(ExecutionMode.Simulated) : null;
        }

        if ((asked ?? (bits == _eight ? ExecutionMode.Integer : ExecutionMode.Simulated)) == ExecutionMode.Simulated)
        {
            return new(ExecutionMode.Simulated);
        }

        if (OneDnn.Support.IntegerProblem is { } problem)
        {
            progress.Message($"Quantized layers are simulated: {problem}.");
            return new(ExecutionMode.Simulated);
        }

        return new(ExecutionMode.Integer);
    }
}
